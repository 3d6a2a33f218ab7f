/** The web applications that run in a workspace, as they come and go. */
import { Button, Code, Menu, Skeleton, Text, Tooltip, UnstyledButton, VisuallyHidden } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { IconChevronDown, IconExternalLink, IconLock, IconUsers, IconWorld } from "@tabler/icons-react";
import { useEffect, useState } from "react";

import { address } from "../api/client";
import { follow, object } from "../api/live";
import { ports } from "../api/queries";
import type { Port, Visibility } from "../api/types";
import { CopyButton } from "../parts/Copy";
import { Failure } from "../parts/Failure";
import { Panel } from "../parts/Panel";
import { Ago } from "../parts/Time";
import { useWorkspace } from "./context";
import { NotRunning } from "./Page";
import classes from "./Ports.module.css";
import { isPorts } from "./port-list";
import { Share, useVisibility, WORDS } from "./Share";

const ICONS: Record<Visibility, typeof IconLock> = {
  private: IconLock,
  members: IconUsers,
  public: IconWorld,
};

/** Keeps the list as the gateway reports it. */
function useLivePorts(workspace: string, running: boolean): void {
  const queries = useQueryClient();
  useEffect(() => {
    if (!running) return undefined;
    const refetch = () => void queries.invalidateQueries(ports(workspace));
    return follow({
      url: address("/workspaces/{id}/ports", { path: { id: workspace } }),
      events: ["ports"],
      receive: (_, data) => {
        const items = object(data)?.items;
        if (isPorts(items)) queries.setQueryData(ports(workspace).queryKey, items);
        else refetch();
      },
      opened: refetch,
    });
  }, [queries, workspace, running]);
}

export function Ports() {
  const { workspace } = useWorkspace();
  const running = workspace.state === "running";
  useLivePorts(workspace.id, running);
  const list = useQuery({ ...ports(workspace.id), enabled: running });
  return (
    <Panel title="Ports" flush>
      {!running ? (
        <NotRunning workspace={workspace} what="Ports" />
      ) : list.isError && !list.data ? (
        <div className={classes.failure}>
          <Failure title="Ports can't be shown" error={list.error} retry={() => void list.refetch()} />
        </div>
      ) : !list.data ? (
        <Waiting />
      ) : list.data.length > 0 ? (
        <ul className={classes.list} aria-label="Ports">
          {[...list.data]
            .sort((a, b) => a.port - b.port)
            .map((one) => (
              <Row key={one.port} port={one} id={workspace.id} />
            ))}
        </ul>
      ) : (
        <div className={classes.empty}>
          <Text size="md">
            Start a server in the workspace, and it appears here with an address of its own.
          </Text>
          <Text size="sm" c="dimmed" mt={4}>
            For example: <Code>python3 -m http.server 8000</Code>
          </Text>
        </div>
      )}
    </Panel>
  );
}

function Waiting() {
  return (
    <div className={classes.empty} role="status" aria-label="Loading">
      <Skeleton height={14} width="60%" />
      <Skeleton height={12} width="40%" mt={12} />
    </div>
  );
}

/** What listens, by the name that the template has for it. */
function named(port: Port): string {
  const process = port.process ?? "unknown program";
  return port.name ? `${port.name} (${process})` : process;
}

function Row({ port, id }: { port: Port; id: string }) {
  return (
    <li className={classes.row} data-port={port.port}>
      <div className={classes.what}>
        <span className={classes.number}>{port.port}</span>
        <span className={classes.process}>
          {port.listening ? (
            <>
              {named(port)}
              {port.since && (
                <span className={classes.dim}>
                  {" "}
                  · <Ago time={port.since} />
                </span>
              )}
            </>
          ) : (
            <span className={classes.dim}>{port.name ? `${port.name}, ` : ""}not listening</span>
          )}
        </span>
      </div>
      <VisibilityMenu port={port} id={id} />
      <div className={classes.actions}>
        <CopyButton text={port.url} label={`Copy the address of port ${port.port}`} />
        <Button
          component="a"
          href={port.url}
          target="_blank"
          rel="noopener"
          variant="light"
          size="xs"
          rightSection={<IconExternalLink size={14} aria-hidden />}
          aria-label={`Open port ${port.port}`}
        >
          Open
        </Button>
      </div>
    </li>
  );
}

function VisibilityMenu({ port, id }: { port: Port; id: string }) {
  const [asking, { open, close }] = useDisclosure();
  const [wanted, setWanted] = useState<"members" | "public">("members");
  const { change } = useVisibility(id, port.port);
  const Icon = ICONS[port.visibility];
  const share = (visibility: "members" | "public") => () => {
    setWanted(visibility);
    open();
  };
  return (
    <>
      <Menu position="bottom-end" width={250} shadow="md">
        <Menu.Target>
          <Tooltip label={WORDS[port.visibility].meaning}>
            <UnstyledButton className={classes.visibility} data-visibility={port.visibility}>
              <Icon size={14} aria-hidden />
              <span>
                <VisuallyHidden>Port {port.port} is: </VisuallyHidden>
                {WORDS[port.visibility].name}
                {port.expires_at && (
                  <span className={classes.dim}>
                    {" "}
                    · ends <Ago time={port.expires_at} />
                  </span>
                )}
              </span>
              <IconChevronDown size={13} aria-hidden />
            </UnstyledButton>
          </Tooltip>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item
            leftSection={<IconLock size={16} />}
            disabled={port.visibility === "private"}
            onClick={() => change.mutate({ visibility: "private" })}
          >
            Private
            <Text size="xs" c="dimmed">
              {WORDS.private.meaning}
            </Text>
          </Menu.Item>
          <Menu.Item leftSection={<IconUsers size={16} />} onClick={share("members")}>
            Members…
            <Text size="xs" c="dimmed">
              {WORDS.members.meaning}
            </Text>
          </Menu.Item>
          <Menu.Item leftSection={<IconWorld size={16} />} onClick={share("public")}>
            Public…
            <Text size="xs" c="dimmed">
              {WORDS.public.meaning}
            </Text>
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      <Share opened={asking} close={close} id={id} port={port} visibility={wanted} />
    </>
  );
}
