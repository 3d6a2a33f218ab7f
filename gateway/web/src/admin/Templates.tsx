/** What workspaces can be made from; administrators write them here. */
import { ActionIcon, Alert, Button, Group, Menu, Stack, Textarea, TextInput } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { IconDots, IconPencil, IconPlus, IconTemplate, IconTrash } from "@tabler/icons-react";
import { useState } from "react";

import { explain, request } from "../api/client";
import { template, templates } from "../api/queries";
import type { Template } from "../api/types";
import { ConfirmByName } from "../parts/ConfirmByName";
import { Dialog } from "../parts/Dialog";
import { Empty } from "../parts/Empty";
import { Failure } from "../parts/Failure";
import { Loading } from "../parts/Loading";
import { PageTitle } from "../parts/PageTitle";
import rows from "../parts/Rows.module.css";
import { faultOfName } from "../workspaces/path";
import classes from "./Templates.module.css";

/** What a new template begins with. */
const FIRST = `description = ""
image = "debian:12"

[resources]
cpus = "2"
memory = "4GiB"
`;

export default function Templates() {
  const list = useQuery(templates);
  const [adding, { open, close }] = useDisclosure();
  return (
    <>
      <PageTitle
        title="Templates"
        description="What workspaces are made from. A workspace takes up a change when it is rebuilt."
      >
        <Button leftSection={<IconPlus size={16} aria-hidden />} onClick={open}>
          Add a template
        </Button>
      </PageTitle>
      {list.isError && !list.data && (
        <Failure title="Templates can't be shown" error={list.error} retry={() => void list.refetch()} />
      )}
      {list.isPending && <Loading />}
      {list.data && (
        <div className={rows.box}>
          {list.data.length > 0 ? (
            <ul className={rows.list} aria-label="Templates">
              {list.data.map((one) => (
                <Row key={one.name} one={one} />
              ))}
            </ul>
          ) : (
            <Empty icon={<IconTemplate size={22} />} title="There are no templates">
              Workspaces are made as the server&apos;s configuration says.
            </Empty>
          )}
        </div>
      )}
      <Dialog opened={adding} onClose={close} title="Add a template" size="xl" closeOnClickOutside={false}>
        <Edit name="" text={FIRST} close={close} taken={list.data?.map((one) => one.name) ?? []} />
      </Dialog>
    </>
  );
}

function Row({ one }: { one: Template }) {
  const queries = useQueryClient();
  const [editing, edit] = useDisclosure();
  const [removing, removal] = useDisclosure();
  const remove = useMutation({
    mutationFn: () => request("DELETE", "/templates/{name}", { path: { name: one.name } }),
    onSuccess: removal.close,
    onSettled: () => queries.invalidateQueries(templates),
  });
  return (
    <li className={rows.row}>
      <div className={rows.what}>
        <span className={rows.name}>
          {one.name}
          {one.problem && (
            <span className={rows.badge} data-strong>
              can’t be used
            </span>
          )}
        </span>
        <span className={rows.note}>
          {one.problem
            ? `Line ${one.problem.line}: ${one.problem.detail}`
            : one.description || "No description"}
          {one.image ? ` · ${one.image}` : ""}
          {one.pool ? ` · ${one.pool.ready} of ${one.pool.wanted} ready` : ""}
          {one.pool?.problem ? ` (${one.pool.problem})` : ""} · version <code>{one.version}</code>
        </span>
      </div>
      <Menu position="bottom-end" width={180} shadow="md">
        <Menu.Target>
          <ActionIcon aria-label={`Actions for ${one.name}`}>
            <IconDots size={18} />
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item leftSection={<IconPencil size={16} />} onClick={edit.open}>
            Edit
          </Menu.Item>
          <Menu.Divider />
          <Menu.Item color="red" leftSection={<IconTrash size={16} />} onClick={removal.open}>
            Delete…
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      <Dialog
        opened={editing}
        onClose={edit.close}
        title={`Template ${one.name}`}
        size="xl"
        closeOnClickOutside={false}
      >
        <Load name={one.name} close={edit.close} />
      </Dialog>
      <ConfirmByName
        opened={removing}
        close={removal.close}
        title={`Delete ${one.name}?`}
        name={one.name}
        confirm="Delete template"
        pending={remove.isPending}
        error={remove.error}
        act={() => remove.mutate()}
      >
        Workspaces that were made from it go on. They can’t be rebuilt from it any more.
      </ConfirmByName>
    </li>
  );
}

function Load({ name, close }: { name: string; close: () => void }) {
  const found = useQuery(template(name));
  if (found.isError) {
    return <Failure title="It can't be shown" error={found.error} retry={() => void found.refetch()} />;
  }
  if (!found.data) return <Loading />;
  return <Edit name={name} text={found.data.text ?? ""} close={close} taken={[]} />;
}

interface EditProps {
  /** Empty: a new one. */
  name: string;
  text: string;
  close: () => void;
  taken: string[];
}

function Edit({ name: given, text: before, close, taken }: EditProps) {
  const queries = useQueryClient();
  const [name, setName] = useState(given);
  const [text, setText] = useState(before);
  const put = useMutation({
    mutationFn: () => request("PUT", "/templates/{name}", { path: { name }, body: { text } }),
    onSuccess: (written) => {
      queries.setQueryData(template(name).queryKey, written);
      close();
    },
    onSettled: () => queries.invalidateQueries(templates),
  });
  const fault = given !== "" || name === "" ? null : faultOfTemplate(name, taken);
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (name !== "" && fault === null) put.mutate();
      }}
    >
      <Stack gap="md">
        {given === "" && (
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
        )}
        <Textarea
          label="Text"
          description="TOML, as the documentation of templates says"
          value={text}
          onChange={(event) => setText(event.currentTarget.value)}
          autosize
          minRows={12}
          maxRows={26}
          spellCheck={false}
          classNames={{ input: classes.text ?? "" }}
        />
        {put.isError && (
          <Alert color="red" title="It isn't saved" role="alert">
            {explain(put.error)}
          </Alert>
        )}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={close}>
            Cancel
          </Button>
          <Button type="submit" disabled={name === "" || fault !== null} loading={put.isPending}>
            Save
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

/** Templates' names follow the same rules as workspaces'. */
function faultOfTemplate(name: string, taken: readonly string[]): string | null {
  if (taken.includes(name)) return `There is a template ${name} already.`;
  return faultOfName(name, [])?.replace("A workspace", "A template") ?? null;
}
