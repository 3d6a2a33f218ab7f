/** A workspace's snapshots, what is made from them, and what happened to it. */
import { ActionIcon, Button, Group, Loader, Menu } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { notifications } from "@mantine/notifications";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { IconCamera, IconCopy, IconDots, IconHistory, IconPlus, IconTrash } from "@tabler/icons-react";

import { explain, request } from "../api/client";
import { snapshots, workspaces } from "../api/queries";
import type { Snapshot, Workspace } from "../api/types";
import { ConfirmByName } from "../parts/ConfirmByName";
import { Empty } from "../parts/Empty";
import { Failure } from "../parts/Failure";
import { bytes } from "../parts/format";
import { Loading } from "../parts/Loading";
import { Panel } from "../parts/Panel";
import rows from "../parts/Rows.module.css";
import { Ago } from "../parts/Time";
import { useWorkspace } from "../workspace/context";
import { Clone, FromSnapshot, Take } from "./Dialogs";
import { History } from "./History";
import classes from "./Snapshots.module.css";

export default function Snapshots() {
  const { workspace } = useWorkspace();
  const list = useQuery(snapshots);
  const [taking, take] = useDisclosure();
  const [cloning, clone] = useDisclosure();
  const own = list.data?.filter((one) => one.workspace?.id === workspace.id) ?? [];
  const others = list.data?.filter(
    (one) => one.owner === workspace.owner && one.workspace?.id !== workspace.id,
  );
  return (
    <div className={classes.tab}>
      <Panel
        title="Snapshots"
        flush
        aside={
          <Group gap="xs" justify="flex-end">
            <Button variant="default" leftSection={<IconCopy size={16} aria-hidden />} onClick={clone.open}>
              Clone…
            </Button>
            <Button leftSection={<IconPlus size={16} aria-hidden />} onClick={take.open}>
              Take a snapshot
            </Button>
          </Group>
        }
      >
        {list.isPending && <Loading />}
        {list.isError && !list.data && (
          <Failure title="Snapshots can't be shown" error={list.error} retry={() => void list.refetch()} />
        )}
        {list.data && own.length === 0 && (
          <Empty icon={<IconCamera size={22} />} title="No snapshots yet">
            A snapshot keeps all files of {workspace.name}, its home included, as they are at that moment. You
            can go back to it, or make other workspaces from it.
          </Empty>
        )}
        <Rows label="Snapshots" all={own} workspace={workspace} />
      </Panel>
      {others && others.length > 0 && (
        <Panel title="Snapshots of other workspaces" flush>
          <Rows label="Snapshots of other workspaces" all={others} workspace={workspace} />
        </Panel>
      )}
      <History workspace={workspace} />
      <Take opened={taking} close={take.close} workspace={workspace} taken={own.map((one) => one.name)} />
      <Clone opened={cloning} close={clone.close} workspace={workspace} />
    </div>
  );
}

function Rows({ label, all, workspace }: { label: string; all: Snapshot[]; workspace: Workspace }) {
  if (all.length === 0) return null;
  return (
    <ul className={rows.list} aria-label={label}>
      {all.map((snapshot) => (
        <Row key={snapshot.id} snapshot={snapshot} workspace={workspace} />
      ))}
    </ul>
  );
}

function Row({ snapshot, workspace }: { snapshot: Snapshot; workspace: Workspace }) {
  const queries = useQueryClient();
  const [deleting, ask] = useDisclosure();
  const [restoring, restore] = useDisclosure();
  const [making, make] = useDisclosure();
  const remove = useMutation({
    mutationFn: () => request("DELETE", "/snapshots/{id}", { path: { id: snapshot.id } }),
    onSuccess: ask.close,
    onSettled: () => queries.invalidateQueries(snapshots),
  });
  const back = useMutation({
    mutationFn: () =>
      request("POST", "/snapshots/{id}/restore", {
        path: { id: snapshot.id },
        body: { workspace: workspace.id },
      }),
    onSuccess: () => {
      restore.close();
      notifications.show({ message: `${workspace.name} is restored from ${snapshot.name}` });
    },
    onError: (error) => {
      notifications.show({ color: "red", title: "It wasn't restored", message: explain(error) });
    },
    onSettled: () => queries.invalidateQueries(workspaces),
  });
  return (
    <li className={rows.row}>
      <div className={rows.what}>
        <span className={rows.name}>
          {snapshot.name}
          {snapshot.state !== "ready" && (
            <span className={rows.badge} data-strong={snapshot.state === "making"}>
              {snapshot.state === "making" ? "being made" : "failed"}
            </span>
          )}
          {snapshot.transfer && (
            <span className={rows.badge}>
              {snapshot.transfer.state === "failed" ? "copy failed" : snapshot.transfer.state}
            </span>
          )}
        </span>
        {snapshot.description !== "" && <span>{snapshot.description}</span>}
        <span className={rows.note} role="status">
          {snapshot.doing ? (
            <>
              <Loader size={10} color="currentColor" aria-hidden /> {snapshot.doing}
            </>
          ) : (
            <>
              {snapshot.workspace && snapshot.workspace.id !== workspace.id && (
                <>of {snapshot.workspace.name} · </>
              )}
              Taken <Ago time={snapshot.created} />
              {snapshot.size != null && <> · {bytes(snapshot.size)}</>}
              {snapshot.transfer && <> · {snapshot.transfer.image}</>}
            </>
          )}
        </span>
        {(snapshot.reason ?? snapshot.transfer?.reason) && (
          <span className={classes.reason}>{snapshot.reason ?? snapshot.transfer?.reason}</span>
        )}
      </div>
      <Menu position="bottom-end" width={220} shadow="md">
        <Menu.Target>
          <ActionIcon aria-label={`Actions for ${snapshot.name}`}>
            <IconDots size={18} />
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item
            leftSection={<IconHistory size={16} />}
            disabled={snapshot.state !== "ready"}
            onClick={restore.open}
          >
            Restore {workspace.name}…
          </Menu.Item>
          <Menu.Item
            leftSection={<IconPlus size={16} />}
            disabled={snapshot.state !== "ready" || !workspace.may_enter}
            onClick={make.open}
          >
            Create a workspace…
          </Menu.Item>
          <Menu.Divider />
          <Menu.Item
            color="red"
            leftSection={<IconTrash size={16} />}
            disabled={snapshot.state === "making"}
            onClick={ask.open}
          >
            Delete…
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      <ConfirmByName
        opened={restoring}
        close={restore.close}
        title={`Restore ${workspace.name} from ${snapshot.name}?`}
        name={workspace.name}
        confirm="Restore workspace"
        pending={back.isPending}
        act={() => back.mutate()}
      >
        What was changed in it since is lost, and whatever runs in it ends. Take a snapshot first if you may
        want to come back.
      </ConfirmByName>
      <ConfirmByName
        opened={deleting}
        close={ask.close}
        title={`Delete ${snapshot.name}?`}
        name={snapshot.name}
        confirm="Delete snapshot"
        pending={remove.isPending}
        error={remove.error}
        act={() => remove.mutate()}
      >
        Workspaces that were made from it go on.
      </ConfirmByName>
      <FromSnapshot opened={making} close={make.close} snapshot={snapshot} />
    </li>
  );
}
