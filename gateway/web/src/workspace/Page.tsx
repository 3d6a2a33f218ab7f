/** One workspace: what it is doing, and tabs for all that one does with it. */
import { Alert, Anchor, Button, Group, Title } from "@mantine/core";
import { useDocumentTitle } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { IconAlertTriangle, IconBrandVscode, IconChevronRight, IconPlayerPlay } from "@tabler/icons-react";
import { useEffect, useRef } from "react";
import { Link, NavLink, Outlet, useLocation, useParams } from "react-router";

import { useAction, useDeletingAny } from "../api/lifecycle";
import { me, workspaces } from "../api/queries";
import type { Workspace } from "../api/types";
import { Failure } from "../parts/Failure";
import { sentence } from "../parts/format";
import { Loading } from "../parts/Loading";
import { NotFound } from "../shell/NotFound";
import { ActionMenu, PowerButton } from "../workspaces/Actions";
import { pathOf } from "../workspaces/path";
import { StateMark } from "../workspaces/State";
import { SleepSoon } from "./Awake";
import type { WorkspaceContext } from "./context";
import { Lifetime } from "./Lifetime";
import classes from "./Page.module.css";

export function WorkspacePage() {
  const { owner, name } = useParams();
  const { pathname } = useLocation();
  const tabs = useRef<HTMLElement>(null);
  const who = useQuery(me).data;
  const list = useQuery(workspaces);
  const deleting = useDeletingAny();
  const workspace = list.data?.find((one) => one.owner === owner && one.name === name);
  useDocumentTitle(`${name ?? ""} · devgate`);
  const there = workspace !== undefined;
  useEffect(() => showCurrent(tabs.current), [pathname, there]);
  if (list.isPending || !who) return <Loading />;
  if (!list.data) {
    return (
      <Failure title="The workspace can't be shown" error={list.error} retry={() => void list.refetch()} />
    );
  }
  // Its event may come before the answer to whoever deletes it.
  if (!workspace) return deleting ? <Loading /> : <NotFound />;

  const path = pathOf(workspace);
  const context: WorkspaceContext = { workspace, who };
  return (
    <>
      <header className={classes.head}>
        <div className={classes.what}>
          <nav aria-label="Breadcrumb" className={classes.crumbs}>
            <Link to="/workspaces">Workspaces</Link>
            <IconChevronRight size={14} aria-hidden />
            {workspace.owner !== who.name && (
              <>
                <span>{workspace.owner}</span>
                <IconChevronRight size={14} aria-hidden />
              </>
            )}
          </nav>
          <Group gap="sm">
            <Title order={1}>{workspace.name}</Title>
            <StateMark workspace={workspace} />
          </Group>
        </div>
        <div className={classes.actions}>
          {workspace.may_enter && (
            <Button
              component="a"
              href={workspace.urls.editor}
              target="_blank"
              rel="noopener"
              leftSection={<IconBrandVscode size={16} aria-hidden />}
            >
              Open editor
            </Button>
          )}
          <PowerButton workspace={workspace} />
          <ActionMenu workspace={workspace} />
        </div>
      </header>
      {workspace.reason !== null && <Failed workspace={workspace} />}
      <SleepSoon workspace={workspace} />
      <Lifetime workspace={workspace} />
      <nav className={classes.tabs} aria-label="Workspace" ref={tabs}>
        <NavLink to={path} end>
          Overview
        </NavLink>
        {workspace.may_enter && <NavLink to={`${path}/terminals`}>Terminals</NavLink>}
        <NavLink to={`${path}/statistics`}>Statistics</NavLink>
        <NavLink to={`${path}/snapshots`}>Snapshots</NavLink>
        <NavLink to={`${path}/logs`}>Logs</NavLink>
      </nav>
      <Outlet context={context} />
    </>
  );
}

/** Brings the current tab into view where not all of them fit. */
function showCurrent(tabs: HTMLElement | null) {
  const current = tabs?.querySelector<HTMLElement>('[aria-current="page"]');
  if (tabs && current) tabs.scrollLeft = current.offsetLeft - (tabs.clientWidth - current.offsetWidth) / 2;
}

function Failed({ workspace }: { workspace: Workspace }) {
  return (
    <Alert
      color="red"
      mb="md"
      icon={<IconAlertTriangle size={18} />}
      title={`${workspace.name} ${workspace.state === "unreachable" ? "is unreachable" : "failed"}`}
      role="alert"
    >
      {sentence(workspace.reason?.detail ?? "The gateway gives no reason; the log may")}{" "}
      <Anchor component={Link} to={`${pathOf(workspace)}/logs`} inherit underline="always">
        See the log
      </Anchor>
    </Alert>
  );
}

/** Stands where a tab needs a running workspace. */
export function NotRunning({ workspace, what }: { workspace: Workspace; what: string }) {
  const action = useAction();
  const starting = workspace.state === "starting";
  return (
    <div className={classes.notRunning}>
      <p>
        {starting
          ? `${what} appear as soon as ${workspace.name} runs.`
          : `${what} are there while ${workspace.name} runs.`}
      </p>
      {starting || workspace.state === "stopping" ? (
        <StateMark workspace={workspace} />
      ) : (
        <Button
          variant="default"
          leftSection={<IconPlayerPlay size={16} aria-hidden />}
          onClick={() => action.mutate({ workspace, action: "start" })}
        >
          {workspace.state === "asleep" ? "Wake" : "Start"} {workspace.name}
        </Button>
      )}
    </div>
  );
}
