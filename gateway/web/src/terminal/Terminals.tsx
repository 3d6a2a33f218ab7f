/** The terminals of a workspace: a tab for each, and the one that is open. */
import { ActionIcon, Button, Menu, Tooltip } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { IconPlus, IconTerminal2, IconX } from "@tabler/icons-react";
import { useCallback, useEffect, useRef, useState } from "react";
import { Link, Navigate, useNavigate, useParams } from "react-router";

import { address, explain, Problem, request } from "../api/client";
import { socketAddress } from "../api/live";
import { terminals } from "../api/queries";
import type { Terminal } from "../api/types";
import { Empty } from "../parts/Empty";
import { Failure } from "../parts/Failure";
import { Loading } from "../parts/Loading";
import { useWorkspace } from "../workspace/context";
import { NotRunning } from "../workspace/Page";
import { pathOf } from "../workspaces/path";
import { withControl } from "./control";
import { KeyBar } from "./KeyBar";
import type { LinkState } from "./link";
import { paced } from "./paced";
import { Settings } from "./Settings";
import { useFontSize } from "./font-size";
import classes from "./Terminals.module.css";
import { type Keyboard, TerminalView } from "./View";

/** Shortest time between two titles of a terminal that are shown, in milliseconds. */
const TITLE_PAUSE = 250;

function useOpen(id: string, path: string) {
  const queries = useQueryClient();
  const navigate = useNavigate();
  return useMutation({
    mutationFn: () => request("POST", "/workspaces/{id}/terminals", { path: { id }, body: {} }),
    onSuccess: (opened) => {
      queries.setQueryData(terminals(id).queryKey, (all) => [
        ...(all ?? []).filter((one) => one.id !== opened.id),
        opened,
      ]);
      void navigate(`${path}/${opened.id}`);
    },
    onError: (error) => {
      notifications.show({ color: "red", title: "No terminal was opened", message: explain(error) });
    },
  });
}

export default function Terminals() {
  const { workspace } = useWorkspace();
  const { terminal: chosen } = useParams();
  const path = `${pathOf(workspace)}/terminals`;
  const running = workspace.state === "running";
  const list = useQuery({ ...terminals(workspace.id), enabled: running });
  const open = useOpen(workspace.id, path);
  const settings = useRef<HTMLButtonElement>(null);
  if (!running) return <NotRunning workspace={workspace} what="Terminals" />;
  if (list.isError && !list.data) {
    return <Failure title="Terminals can't be shown" error={list.error} retry={() => void list.refetch()} />;
  }
  if (!list.data) return <Loading />;

  const all = [...list.data].sort((a, b) => a.created.localeCompare(b.created));
  const current = all.find((one) => one.id === chosen);
  const last = all.at(-1);
  if (!chosen && last) return <Navigate to={`${path}/${last.id}`} replace />;
  return (
    <div className={classes.page} data-fill>
      {all.length > 0 && (
        <div className={classes.strip}>
          <nav aria-label="Terminals">
            {all.map((one) => (
              <Tab key={one.id} terminal={one} id={workspace.id} path={path} active={one.id === chosen} />
            ))}
          </nav>
          <Tooltip label="New terminal">
            <ActionIcon aria-label="New terminal" loading={open.isPending} onClick={() => open.mutate()}>
              <IconPlus size={17} />
            </ActionIcon>
          </Tooltip>
          <Settings button={settings} />
        </div>
      )}
      {current ? (
        <One key={current.id} terminal={current} id={workspace.id} leave={() => settings.current?.focus()} />
      ) : (
        <Empty
          icon={<IconTerminal2 size={22} />}
          title={chosen ? "This terminal has ended" : "Open a terminal"}
          action={
            <Button size="md" loading={open.isPending} onClick={() => open.mutate()}>
              New terminal
            </Button>
          }
        >
          A terminal goes on when you close the tab: come back on any device, and find the same shell with its
          screen.
        </Empty>
      )}
    </div>
  );
}

/** Returns what a terminal is called: what runs in it, or its title. */
function nameOf(terminal: Terminal): string {
  return [terminal.title, terminal.process, terminal.command].find(Boolean) ?? "shell";
}

function Tab({
  terminal,
  id,
  path,
  active,
}: {
  terminal: Terminal;
  id: string;
  path: string;
  active: boolean;
}) {
  const queries = useQueryClient();
  const navigate = useNavigate();
  const end = useMutation({
    mutationFn: () =>
      request("DELETE", "/workspaces/{id}/terminals/{terminal}", { path: { id, terminal: terminal.id } }),
    onSuccess: () => {
      queries.setQueryData(terminals(id).queryKey, (all) => all?.filter((one) => one.id !== terminal.id));
      if (active) void navigate(path, { replace: true });
    },
    onError: (error) => {
      notifications.show({ color: "red", title: "The terminal wasn't ended", message: explain(error) });
    },
    onSettled: () => queries.invalidateQueries(terminals(id)),
  });
  const name = nameOf(terminal);
  const tab = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (active) tab.current?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [active]);
  return (
    <div ref={tab} className={classes.tab} data-active={active} data-exited={terminal.state === "exited"}>
      <Link to={`${path}/${terminal.id}`} aria-current={active ? "page" : undefined} title={name}>
        {name}
      </Link>
      {/* A shell at its prompt can go; a program that runs in it is asked about. */}
      <Menu position="bottom-end" shadow="md" width={220}>
        <Menu.Target>
          <button type="button" className={classes.close} aria-label={`End terminal ${name}`}>
            <IconX size={13} aria-hidden />
          </button>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Label>
            {terminal.state === "exited"
              ? "It has ended already."
              : `${terminal.process ?? "Its shell"} and its children end.`}
          </Menu.Label>
          <Menu.Item color="red" leftSection={<IconX size={16} />} onClick={() => end.mutate()}>
            {terminal.state === "exited" ? "Remove it" : "End this terminal"}
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
    </div>
  );
}

function One({ terminal, id, leave }: { terminal: Terminal; id: string; leave: () => void }) {
  const queries = useQueryClient();
  const [state, setState] = useState<LinkState>("connecting");
  const [status, setStatus] = useState<number>();
  const [control, setControl] = useState(false);
  const [fontSize] = useFontSize();
  const keyboard = useRef<Keyboard>(null);
  const refresh = () => void queries.invalidateQueries(terminals(id));
  // Programs may change it as often as they like.
  const [titled] = useState(() =>
    paced((title: string) => {
      queries.setQueryData(terminals(id).queryKey, (all) =>
        all?.map((one) => (one.id === terminal.id ? { ...one, title } : one)),
      );
    }, TITLE_PAUSE),
  );
  const url = useCallback(
    (columns: number, rows: number) => {
      const path = { id, terminal: terminal.id };
      const attach = "/workspaces/{id}/terminals/{terminal}/attach";
      return socketAddress(address(attach, { path, query: { columns, rows } }));
    },
    [id, terminal.id],
  );
  const alive = async () => {
    try {
      const list = await request("GET", "/workspaces/{id}/terminals", { path: { id } });
      return list.items.some((one) => one.id === terminal.id);
    } catch (error) {
      // Nobody answers for it at the moment: that isn't its end.
      return !(error instanceof Problem && error.status === 404);
    }
  };
  return (
    <section className={classes.one} aria-label={nameOf(terminal)}>
      <div className={classes.screen}>
        <TerminalView
          url={url}
          label={`Terminal ${nameOf(terminal)}`}
          fontSize={fontSize}
          keyboard={keyboard}
          changed={(next, exit) => {
            setState(next);
            if (exit !== undefined) setStatus(exit);
            if (next === "exited" || next === "gone") refresh();
          }}
          titled={titled}
          alive={alive}
          leave={leave}
          transform={(text) => {
            if (!control) return text;
            setControl(false);
            return withControl(text);
          }}
        />
        <Banner state={state} status={status} />
      </div>
      <KeyBar
        control={control}
        setControl={setControl}
        press={(text) => {
          setControl(false);
          keyboard.current?.type(control ? withControl(text) : text);
        }}
      />
    </section>
  );
}

function Banner({ state, status }: { state: LinkState; status: number | undefined }) {
  const text = {
    open: null,
    connecting: null,
    lost: "The connection broke. The shell goes on; it is tried again.",
    exited: status === 0 ? "The shell has ended." : `The shell has ended with status ${status ?? "unknown"}.`,
    gone: "This terminal isn't there any more. Open a new one.",
  }[state];
  return (
    <div className={classes.banner} role="status" data-shown={text !== null}>
      {text}
    </div>
  );
}
