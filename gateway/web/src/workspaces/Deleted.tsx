/** The deleted workspaces that can still be restored. */
import { Alert, Button, Group, Stack, Text, TextInput, Title } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { IconRestore, IconTrash } from "@tabler/icons-react";
import { useState } from "react";

import { explain } from "../api/client";
import { usePurge, useRestore } from "../api/lifecycle";
import { deletedWorkspaces } from "../api/queries";
import type { Me, Workspace } from "../api/types";
import { ConfirmByName } from "../parts/ConfirmByName";
import { Dialog } from "../parts/Dialog";
import { sentence } from "../parts/format";
import rows from "../parts/Rows.module.css";
import { Ago } from "../parts/Time";
import classes from "./Deleted.module.css";
import { faultOfName } from "./path";

interface Props {
  who: Me;
  /** Whether others' are shown, too. */
  everyones: boolean;
  /** The workspaces that live. */
  taken: Workspace[];
}

export function Deleted({ who, everyones, taken }: Props) {
  const all = useQuery(deletedWorkspaces).data ?? [];
  const shown = all
    .filter((one) => everyones || one.owner === who.name)
    .sort((a, b) => (b.deleted_at ?? "").localeCompare(a.deleted_at ?? ""));
  if (shown.length === 0) return null;
  return (
    <section className={classes.deleted} aria-labelledby="deleted-workspaces">
      <Title order={2} size="h3" id="deleted-workspaces" mb="xs">
        Recently deleted
      </Title>
      <div className={rows.box}>
        <ul className={rows.list} aria-label="Deleted workspaces">
          {shown.map((one) => (
            <Row key={one.id} workspace={one} who={who} taken={taken} />
          ))}
        </ul>
      </div>
    </section>
  );
}

function Row({ workspace, who, taken }: { workspace: Workspace; who: Me; taken: Workspace[] }) {
  const [restoring, restore] = useDisclosure();
  const [removing, removal] = useDisclosure();
  const purge = usePurge();
  const names = taken.filter((one) => one.owner === workspace.owner).map((one) => one.name);
  return (
    <li className={rows.row} data-deleted={workspace.name}>
      <div className={rows.what}>
        <span className={rows.name}>
          {workspace.name}
          {workspace.owner !== who.name && ` of ${workspace.owner}`}
        </span>
        <span className={rows.note}>
          <When workspace={workspace} />
        </span>
        {workspace.state === "failed" && workspace.reason && (
          <span className={rows.note}>{sentence(workspace.reason.detail)}</span>
        )}
      </div>
      <Group gap={4} wrap="nowrap">
        <Button
          variant="default"
          leftSection={<IconRestore size={16} aria-hidden />}
          aria-label={`Restore ${workspace.name}`}
          onClick={restore.open}
        >
          Restore
        </Button>
        <Button
          variant="subtle"
          color="red"
          leftSection={<IconTrash size={16} aria-hidden />}
          aria-label={`Remove now… ${workspace.name}`}
          loading={purge.isPending}
          onClick={removal.open}
        >
          Remove now…
        </Button>
      </Group>
      <Dialog opened={restoring} onClose={restore.close} title={`Restore ${workspace.name}`}>
        <Restore workspace={workspace} close={restore.close} taken={names} />
      </Dialog>
      <ConfirmByName
        opened={removing}
        close={removal.close}
        title={`Remove ${workspace.name} now?`}
        name={workspace.name}
        confirm="Remove for good"
        act={() => {
          removal.close();
          purge.mutate(workspace);
        }}
      >
        Its home folder and everything in it go for good. It can’t be restored any more.
      </ConfirmByName>
    </li>
  );
}

function When({ workspace }: { workspace: Workspace }) {
  const { deleted_at: at, restorable_until: until } = workspace;
  if (!at || !until) return null;
  return (
    <>
      Deleted <Ago time={at} />
      {workspace.state === "deleted" && (
        <>
          {" "}
          · its home is removed <Ago time={until} />
        </>
      )}
    </>
  );
}

/** Asks for a name only where the old one is taken. */
function Restore({ workspace, close, taken }: { workspace: Workspace; close: () => void; taken: string[] }) {
  const [name, setName] = useState(workspace.name);
  const restore = useRestore();
  const fault = faultOfName(name, taken);
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (!fault) restore.mutate({ workspace, name }, { onSuccess: close });
      }}
    >
      <Stack gap="md">
        <Text size="md">It comes back with its home folder, and stopped.</Text>
        <TextInput
          label="Name"
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          error={fault}
          data-autofocus
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
        />
        {restore.isError && (
          <Alert color="red" role="alert">
            {explain(restore.error)}
          </Alert>
        )}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={close}>
            Cancel
          </Button>
          <Button type="submit" disabled={fault !== null} loading={restore.isPending}>
            Restore
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
