/** Everybody who may use this gateway, for administrators. */
import { ActionIcon, Alert, Button, Group, Menu, Select, Stack, Text, TextInput } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { notifications } from "@mantine/notifications";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { IconDots, IconLink, IconPlus, IconShield, IconTrash, IconUser } from "@tabler/icons-react";
import { useState } from "react";

import { explain, request } from "../api/client";
import { me, users } from "../api/queries";
import type { Role, SignInLink, User } from "../api/types";
import { ConfirmByName } from "../parts/ConfirmByName";
import { CopyLine } from "../parts/Copy";
import { Dialog } from "../parts/Dialog";
import { Failure } from "../parts/Failure";
import { counted } from "../parts/format";
import { Loading } from "../parts/Loading";
import { PageTitle } from "../parts/PageTitle";
import rows from "../parts/Rows.module.css";
import { Ago } from "../parts/Time";
import { faultOfName } from "../workspaces/path";

export default function Users() {
  const list = useQuery(users);
  const [adding, { open, close }] = useDisclosure();
  return (
    <>
      <PageTitle title="Users" description="A new user signs in with a link that you send, once.">
        <Button leftSection={<IconPlus size={16} aria-hidden />} onClick={open}>
          Add a user
        </Button>
      </PageTitle>
      {list.isError && !list.data && (
        <Failure title="Users can't be shown" error={list.error} retry={() => void list.refetch()} />
      )}
      {list.isPending && <Loading />}
      {list.data && (
        <div className={rows.box}>
          <ul className={rows.list} aria-label="Users">
            {[...list.data]
              .sort((a, b) => a.name.localeCompare(b.name))
              .map((user) => (
                <Row key={user.id} user={user} />
              ))}
          </ul>
        </div>
      )}
      <Dialog opened={adding} onClose={close} title="Add a user" closeOnClickOutside={false}>
        <Add close={close} taken={list.data?.map((user) => user.name) ?? []} />
      </Dialog>
    </>
  );
}

function Row({ user }: { user: User }) {
  const queries = useQueryClient();
  const who = useQuery(me).data;
  const [removing, removal] = useDisclosure();
  const [linking, linkDialog] = useDisclosure();
  const self = who?.name === user.name;
  const path = { name: user.name };
  const refresh = () => queries.invalidateQueries(users);
  const patch = useMutation({
    mutationFn: (role: Role) => request("PATCH", "/users/{name}", { path, body: { role } }),
    onError: (error) => {
      notifications.show({ color: "red", title: `${user.name} stays as before`, message: explain(error) });
    },
    onSettled: refresh,
  });
  const link = useMutation({ mutationFn: () => request("POST", "/users/{name}/link", { path }) });
  const remove = useMutation({
    mutationFn: () => request("DELETE", "/users/{name}", { path }),
    onSuccess: removal.close,
    onSettled: refresh,
  });
  const count = user.workspaces;
  return (
    <li className={rows.row}>
      <div className={rows.what}>
        <span className={rows.name}>
          {user.name}
          {user.role === "admin" && (
            <span className={rows.badge} data-strong>
              admin
            </span>
          )}
          {self && <span className={rows.badge}>you</span>}
        </span>
        <span className={rows.note}>
          Added <Ago time={user.created} /> · {counted(count, "workspace")}
          {user.has_password ? "" : " · no password yet"}
        </span>
      </div>
      <Menu position="bottom-end" width={220} shadow="md">
        <Menu.Target>
          <ActionIcon aria-label={`Actions for ${user.name}`}>
            <IconDots size={18} />
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item
            leftSection={<IconLink size={16} />}
            onClick={() => {
              linkDialog.open();
              link.mutate();
            }}
          >
            Make a sign-in link
          </Menu.Item>
          {user.role === "admin" ? (
            <Menu.Item
              leftSection={<IconUser size={16} />}
              disabled={self}
              onClick={() => patch.mutate("member")}
            >
              Make a member
            </Menu.Item>
          ) : (
            <Menu.Item leftSection={<IconShield size={16} />} onClick={() => patch.mutate("admin")}>
              Make an administrator
            </Menu.Item>
          )}
          <Menu.Divider />
          <Menu.Item color="red" leftSection={<IconTrash size={16} />} disabled={self} onClick={removal.open}>
            Delete…
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      <Dialog opened={linking} onClose={linkDialog.close} title={`Sign-in link for ${user.name}`}>
        {link.isError && (
          <Alert color="red" role="alert">
            {explain(link.error)}
          </Alert>
        )}
        {link.isPending && <Loading />}
        {link.data && <LinkText name={user.name} link={link.data} close={linkDialog.close} />}
      </Dialog>
      <ConfirmByName
        opened={removing}
        close={removal.close}
        title={`Delete ${user.name}?`}
        name={user.name}
        confirm="Delete user"
        pending={remove.isPending}
        error={remove.error}
        act={() => remove.mutate()}
      >
        {user.name} can’t sign in any more, and keys, tokens and logins go.
        {count > 0 && ` Delete the ${counted(count, "workspace")} first if the gateway refuses.`}
      </ConfirmByName>
    </li>
  );
}

function LinkText({ name, link, close }: { name: string; link: SignInLink; close: () => void }) {
  return (
    <Stack gap="md">
      <Text size="md">
        Send this to {name}, and to nobody else. It works once, and ends <Ago time={link.expires_at} />.
      </Text>
      <CopyLine text={link.url} label="Copy the link" wrap />
      <Group justify="flex-end">
        <Button onClick={close}>Done</Button>
      </Group>
    </Stack>
  );
}

function Add({ close, taken }: { close: () => void; taken: string[] }) {
  const queries = useQueryClient();
  const [name, setName] = useState("");
  const [role, setRole] = useState<Role>("member");
  const add = useMutation({
    mutationFn: async () => {
      const user = await request("POST", "/users", { body: { name, role } });
      return request("POST", "/users/{name}/link", { path: { name: user.name } });
    },
    onSettled: () => queries.invalidateQueries(users),
  });
  if (add.data) return <LinkText name={name} link={add.data} close={close} />;
  const fault = name === "" || add.isPending ? null : faultOfUser(name, taken);
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (faultOfUser(name, taken) === null) add.mutate();
      }}
    >
      <Stack gap="md">
        <TextInput
          label="Name"
          description="Lower-case letters, digits and hyphens"
          value={name}
          onChange={(event) => setName(event.currentTarget.value.trim())}
          error={fault}
          data-autofocus
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
        />
        <Select
          label="Role"
          data={[
            { value: "member", label: "Member: has workspaces" },
            { value: "admin", label: "Administrator: manages users and everybody's workspaces too" },
          ]}
          value={role}
          onChange={(value) => setRole(value === "admin" ? "admin" : "member")}
          allowDeselect={false}
        />
        {add.isError && (
          <Alert color="red" title="The user wasn't added" role="alert">
            {explain(add.error)}
          </Alert>
        )}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={close}>
            Cancel
          </Button>
          <Button type="submit" disabled={name === "" || fault !== null} loading={add.isPending}>
            Add and make a link
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

/** Users' names follow the same rules as workspaces'. */
function faultOfUser(name: string, taken: readonly string[]): string | null {
  if (taken.includes(name)) return `There is a user ${name} already.`;
  return faultOfName(name, [])?.replace("A workspace", "A user") ?? null;
}
