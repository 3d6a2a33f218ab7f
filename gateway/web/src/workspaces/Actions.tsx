/** Start, stop, restart, rebuild, delete. */
import { ActionIcon, Button, Menu } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import {
  IconDots,
  IconHammer,
  IconPencil,
  IconMoon,
  IconPlayerPlay,
  IconPlayerStop,
  IconRefresh,
  IconReportAnalytics,
  IconTrash,
  IconUserShare,
} from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Link, useNavigate } from "react-router";

import { type Action, useAction, useDelete, useDeleting } from "../api/lifecycle";
import { connection, me } from "../api/queries";
import type { Workspace, WorkspaceState } from "../api/types";
import { ConfirmByName } from "../parts/ConfirmByName";
import { Dialog } from "../parts/Dialog";
import { exactly } from "../parts/format";
import { Rename, Transfer } from "./Change";
import { pathOf } from "./path";
import { Rebuild } from "./Rebuild";

/** The states in which starting it makes sense. */
const STARTABLE: readonly WorkspaceState[] = ["created", "stopped", "asleep", "failed", "unreachable"];

function startable(workspace: Workspace): boolean {
  return STARTABLE.includes(workspace.state);
}

/** The one action that a state asks for, as a button. */
export function PowerButton({ workspace }: { workspace: Workspace }) {
  const action = useAction();
  const deleting = useDeleting(workspace.id);
  if (startable(workspace)) {
    return (
      <Button
        variant="default"
        leftSection={<IconPlayerPlay size={16} aria-hidden />}
        disabled={deleting}
        onClick={() => action.mutate({ workspace, action: "start" })}
      >
        {workspace.state === "asleep" ? "Wake" : "Start"}
      </Button>
    );
  }
  return (
    <Button
      variant="default"
      leftSection={<IconPlayerStop size={16} aria-hidden />}
      disabled={deleting || workspace.state === "stopping"}
      onClick={() => action.mutate({ workspace, action: "stop" })}
    >
      Stop
    </Button>
  );
}

/** Everything else, as a menu. */
export function ActionMenu({ workspace }: { workspace: Workspace }) {
  const navigate = useNavigate();
  const action = useAction();
  const remove = useDelete((gone) => {
    // Its page is the only one that goes with it.
    if (location.pathname.startsWith(pathOf(gone))) void navigate("/workspaces", { replace: true });
  });
  const deleting = useDeleting(workspace.id);
  const [asking, { open, close }] = useDisclosure();
  const [rebuilding, rebuild] = useDisclosure();
  const [renaming, rename] = useDisclosure();
  const [transferring, transfer] = useDisclosure();
  const admin = useQuery(me).data?.role === "admin";
  const grace = useQuery(connection).data?.delete_grace_seconds ?? 0;
  const act = (what: Action) => () => action.mutate({ workspace, action: what });
  return (
    <>
      <Menu position="bottom-end" width={180} shadow="md">
        <Menu.Target>
          <ActionIcon aria-label={`Actions for ${workspace.name}`} disabled={deleting}>
            <IconDots size={18} />
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          {startable(workspace) ? (
            <Menu.Item leftSection={<IconPlayerPlay size={16} />} onClick={act("start")}>
              {workspace.state === "asleep" ? "Wake" : "Start"}
            </Menu.Item>
          ) : (
            <Menu.Item
              leftSection={<IconPlayerStop size={16} />}
              disabled={workspace.state === "stopping"}
              onClick={act("stop")}
            >
              Stop
            </Menu.Item>
          )}
          <Menu.Item
            leftSection={<IconRefresh size={16} />}
            disabled={workspace.state !== "running"}
            onClick={act("restart")}
          >
            Restart
          </Menu.Item>
          <Menu.Item leftSection={<IconHammer size={16} />} onClick={rebuild.open}>
            Rebuild…
          </Menu.Item>
          <Menu.Item
            leftSection={<IconMoon size={16} />}
            disabled={workspace.state !== "running"}
            onClick={act("sleep")}
          >
            Sleep
          </Menu.Item>
          <Menu.Item
            component={Link}
            to={`${pathOf(workspace)}/logs`}
            leftSection={<IconReportAnalytics size={16} />}
          >
            Logs
          </Menu.Item>
          <Menu.Item leftSection={<IconPencil size={16} />} onClick={rename.open}>
            Rename…
          </Menu.Item>
          {admin && (
            <Menu.Item leftSection={<IconUserShare size={16} />} onClick={transfer.open}>
              Transfer…
            </Menu.Item>
          )}
          <Menu.Divider />
          <Menu.Item color="red" leftSection={<IconTrash size={16} />} onClick={open}>
            Delete…
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      <Rebuild opened={rebuilding} close={rebuild.close} workspace={workspace} />
      <Dialog opened={renaming} onClose={rename.close} title={`Rename ${workspace.name}`}>
        <Rename workspace={workspace} close={rename.close} />
      </Dialog>
      <Dialog opened={transferring} onClose={transfer.close} title={`Transfer ${workspace.name}`}>
        <Transfer workspace={workspace} close={transfer.close} />
      </Dialog>
      <ConfirmByName
        opened={asking}
        close={close}
        title={`Delete ${workspace.name}?`}
        name={workspace.name}
        confirm="Delete workspace"
        act={() => {
          close();
          remove.mutate(workspace);
        }}
      >
        <Loss grace={grace} />
        {workspace.may_enter ? "" : ` It belongs to ${workspace.owner}.`}
      </ConfirmByName>
    </>
  );
}

/** Says what goes with a workspace that is deleted now, and until when it can come back. */
function Loss({ grace }: { grace: number }) {
  const [now] = useState(() => Date.now());
  if (grace === 0) return "Its home folder and everything in it go for good, and whatever runs in it ends.";
  const until = exactly(new Date(now + grace * 1000));
  return `Whatever runs in it ends. Its home folder is kept until ${until}: until then it can be restored.`;
}
