import {
  ActionIcon,
  Alert,
  Button,
  Collapse,
  Group,
  Radio,
  Select,
  Stack,
  Text,
  TextInput,
} from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { IconApi, IconPlus, IconTrash } from "@tabler/icons-react";
import { useState } from "react";

import { explain, request } from "../api/client";
import { me, tokens, workspaces } from "../api/queries";
import type { Narrowing, Scope, Token } from "../api/types";
import { ConfirmByName } from "../parts/ConfirmByName";
import { CopyLine } from "../parts/Copy";
import { Dialog } from "../parts/Dialog";
import { Empty } from "../parts/Empty";
import { Failure } from "../parts/Failure";
import { Loading } from "../parts/Loading";
import { PageTitle } from "../parts/PageTitle";
import rows from "../parts/Rows.module.css";
import { Ago } from "../parts/Time";
import { Narrow } from "./Narrow";
import { asked, told } from "./narrowing";

const DAY = 86_400;

const EXPIRIES = [
  { value: String(7 * DAY), label: "In a week" },
  { value: String(30 * DAY), label: "In 30 days" },
  { value: String(90 * DAY), label: "In 90 days" },
  { value: String(365 * DAY), label: "In a year" },
  { value: "", label: "Never" },
];

const SCOPES: { value: Scope; label: string; description: string }[] = [
  { value: "read", label: "Read", description: "See workspaces, logs and statistics" },
  { value: "write", label: "Write", description: "Everything you do, but for administration" },
  { value: "admin", label: "Admin", description: "Everything, users included" },
];

export default function Tokens() {
  const list = useQuery(tokens);
  const [creating, { open, close }] = useDisclosure();
  return (
    <>
      <PageTitle title="API tokens" description="Programs use the API with these, as you.">
        <Button leftSection={<IconPlus size={16} aria-hidden />} onClick={open}>
          Create a token
        </Button>
      </PageTitle>
      {list.isError && !list.data && (
        <Failure title="Tokens can't be shown" error={list.error} retry={() => void list.refetch()} />
      )}
      {list.isPending && <Loading />}
      {list.data && (
        <div className={rows.box}>
          {list.data.length > 0 ? (
            <ul className={rows.list} aria-label="API tokens">
              {list.data.map((token) => (
                <Row key={token.id} token={token} />
              ))}
            </ul>
          ) : (
            <Empty
              icon={<IconApi size={22} />}
              title="No tokens yet"
              action={
                <Button variant="default" component="a" href="/api/v1/docs">
                  Read the API documentation
                </Button>
              }
            >
              A token lets a script or a CI job do what you do here. Give it the smallest scope that works,
              and an end.
            </Empty>
          )}
        </div>
      )}
      <Dialog opened={creating} onClose={close} title="Create a token" closeOnClickOutside={false}>
        <Make close={close} />
      </Dialog>
    </>
  );
}

function Row({ token }: { token: Token }) {
  const queries = useQueryClient();
  const [asking, { open, close }] = useDisclosure();
  const remove = useMutation({
    mutationFn: () => request("DELETE", "/me/tokens/{id}", { path: { id: token.id } }),
    onSuccess: close,
    onSettled: () => queries.invalidateQueries(tokens),
  });
  const list = useQuery({ ...workspaces, enabled: token.narrowed_to != null });
  const names = new Map(list.data?.map((workspace) => [workspace.id, workspace.name]));
  const expired = token.expires_at != null && new Date(token.expires_at) < new Date();
  return (
    <li className={rows.row}>
      <div className={rows.what}>
        <span className={rows.name}>
          {token.name}
          <span className={rows.badge}>{token.scope}</span>
        </span>
        {token.narrowed_to && !list.isPending && (
          <span className={rows.note}>Narrowed: {told(token.narrowed_to, names)}</span>
        )}
        <span className={rows.note}>
          Created <Ago time={token.created} />
          {" · "}
          {token.last_used ? (
            <>
              used <Ago time={token.last_used} />
            </>
          ) : (
            "never used"
          )}
          {" · "}
          {token.expires_at ? (
            <>
              {expired ? "expired " : "expires "}
              <Ago time={token.expires_at} />
            </>
          ) : (
            "never expires"
          )}
        </span>
      </div>
      <ActionIcon aria-label={`Delete ${token.name}`} onClick={open}>
        <IconTrash size={17} />
      </ActionIcon>
      <ConfirmByName
        opened={asking}
        close={close}
        title={`Delete ${token.name}?`}
        name={token.name}
        confirm="Delete token"
        pending={remove.isPending}
        error={remove.error}
        act={() => remove.mutate()}
      >
        Programs that use it are cut off at once.
      </ConfirmByName>
    </li>
  );
}

function Make({ close }: { close: () => void }) {
  const queries = useQueryClient();
  const admin = useQuery(me).data?.role === "admin";
  const [name, setName] = useState("");
  const [scope, setScope] = useState<Scope>("read");
  const [expiry, setExpiry] = useState(String(30 * DAY));
  const [narrowed, setNarrowed] = useState<Narrowing>({});
  const [narrowing, { toggle }] = useDisclosure();
  const make = useMutation({
    mutationFn: () => {
      const body = {
        name: name.trim(),
        scope,
        ...(expiry !== "" && { expires_in_seconds: Number(expiry) }),
        ...(scope !== "admin" && { narrowed_to: asked(narrowed) }),
      };
      return request("POST", "/me/tokens", { body });
    },
    onSettled: () => queries.invalidateQueries(tokens),
  });
  if (make.data) {
    return (
      <Stack gap="md">
        <Alert color="yellow">Copy it now: it is shown this once.</Alert>
        <CopyLine text={make.data.token} label="Copy the token" wrap />
        <Text size="sm" c="dimmed">
          Try it:
        </Text>
        <CopyLine
          text={`curl -H "Authorization: Bearer ${make.data.token}" ${location.origin}/api/v1/me`}
          label="Copy the command"
          wrap
        />
        <Group justify="flex-end">
          <Button onClick={close}>Done</Button>
        </Group>
      </Stack>
    );
  }
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (name.trim() !== "") make.mutate();
      }}
    >
      <Stack gap="md">
        <TextInput
          label="Name"
          placeholder="What is it for?"
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          data-autofocus
          autoComplete="off"
        />
        <Radio.Group
          label="Scope"
          value={scope}
          onChange={(value) => setScope(SCOPES.find((one) => one.value === value)?.value ?? "read")}
        >
          <Stack gap="xs" mt="xs">
            {SCOPES.filter((one) => admin || one.value !== "admin").map((one) => (
              <Radio key={one.value} value={one.value} label={one.label} description={one.description} />
            ))}
          </Stack>
        </Radio.Group>
        <Select
          label="Expires"
          data={EXPIRIES}
          value={expiry}
          onChange={(value) => setExpiry(value ?? "")}
          allowDeselect={false}
        />
        {scope !== "admin" && (
          <div>
            <Button variant="subtle" size="compact-sm" onClick={toggle} aria-expanded={narrowing}>
              Narrow it down
            </Button>
            <Collapse expanded={narrowing} mt="sm">
              <Narrow value={narrowed} onChange={setNarrowed} />
            </Collapse>
          </div>
        )}
        {make.isError && (
          <Alert color="red" title="No token was created" role="alert">
            {explain(make.error)}
          </Alert>
        )}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={close}>
            Cancel
          </Button>
          <Button type="submit" disabled={name.trim() === ""} loading={make.isPending}>
            Create token
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
