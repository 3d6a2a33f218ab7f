/** Another name, or another owner. */
import { Alert, Button, Group, Select, Stack, Text, TextInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useNavigate } from "react-router";

import { explain } from "../api/client";
import { useChange } from "../api/lifecycle";
import { users, workspaces } from "../api/queries";
import type { Workspace } from "../api/types";
import { faultOfName, pathOf } from "./path";

interface Props {
  workspace: Workspace;
  close: () => void;
}

/** Goes where a workspace's page is now, if one is on it. */
function useFollow() {
  const navigate = useNavigate();
  return (before: Workspace, after: Workspace) => {
    const at = pathOf(before);
    const { pathname } = location;
    if (pathname === at || pathname.startsWith(`${at}/`)) {
      void navigate(pathOf(after) + pathname.slice(at.length), { replace: true });
    }
  };
}

export function Rename({ workspace, close }: Props) {
  const follow = useFollow();
  const change = useChange();
  const [name, setName] = useState(workspace.name);
  const all = useQuery(workspaces).data ?? [];
  const others = all.filter((one) => one.owner === workspace.owner && one.id !== workspace.id);
  const fault = faultOfName(
    name,
    others.map((one) => one.name),
  );
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (fault !== null) return;
        change.mutate(
          { workspace, name },
          {
            onSuccess: (after) => {
              close();
              follow(workspace, after);
            },
          },
        );
      }}
    >
      <Stack gap="md">
        <Text size="md">
          What runs in it goes on. You then connect with its new name, and its web addresses change.
        </Text>
        <TextInput
          label="Name"
          value={name}
          onChange={(event) => setName(event.currentTarget.value.trim())}
          onFocus={(event) => event.currentTarget.select()}
          error={fault}
          data-autofocus
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
        />
        <Refused title="It keeps its name" error={change.error} />
        <Buttons close={close} ready={fault === null} pending={change.isPending} label="Rename" />
      </Stack>
    </form>
  );
}

export function Transfer({ workspace, close }: Props) {
  const follow = useFollow();
  const change = useChange();
  const [owner, setOwner] = useState<string | null>(null);
  const everybody = useQuery(users).data ?? [];
  const names = everybody.map((user) => user.name).filter((name) => name !== workspace.owner);
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (owner === null) return;
        change.mutate(
          { workspace, owner },
          {
            onSuccess: (after) => {
              close();
              notifications.show({ message: `${after.name} belongs to ${after.owner} now` });
              follow(workspace, after);
            },
          },
        );
      }}
    >
      <Stack gap="md">
        <Text size="md">
          What runs in it goes on. {workspace.owner} can’t enter it any more: what is open to it ends.
        </Text>
        <Select
          label="New owner"
          data={names}
          value={owner}
          onChange={setOwner}
          searchable
          data-autofocus
          nothingFoundMessage="Nobody of that name"
          comboboxProps={{ withinPortal: true }}
        />
        <Refused title="It keeps its owner" error={change.error} />
        <Buttons close={close} ready={owner !== null} pending={change.isPending} label="Transfer" />
      </Stack>
    </form>
  );
}

function Refused({ title, error }: { title: string; error: unknown }) {
  if (error == null) return null;
  return (
    <Alert color="red" title={title} role="alert">
      {explain(error)}
    </Alert>
  );
}

interface ButtonsProps {
  close: () => void;
  ready: boolean;
  pending: boolean;
  label: string;
}

function Buttons({ close, ready, pending, label }: ButtonsProps) {
  return (
    <Group justify="flex-end" gap="xs">
      <Button variant="default" onClick={close}>
        Cancel
      </Button>
      <Button type="submit" disabled={!ready} loading={pending}>
        {label}
      </Button>
    </Group>
  );
}
