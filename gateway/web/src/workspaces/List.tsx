/** The workspaces that one sees, with what they are doing. */
import { Button, SegmentedControl, Skeleton, TextInput } from "@mantine/core";
import { useHotkeys, useMediaQuery } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { IconBrandVscode, IconFilter, IconPlus, IconStack2, IconTerminal2 } from "@tabler/icons-react";
import { useRef, useState } from "react";
import { Link, useSearchParams } from "react-router";

import { me, workspaces } from "../api/queries";
import type { Me, Workspace } from "../api/types";
import { SetPassword } from "../account/SetPassword";
import { CopyButton } from "../parts/Copy";
import { Empty } from "../parts/Empty";
import { Failure } from "../parts/Failure";
import { sentence } from "../parts/format";
import { PageTitle } from "../parts/PageTitle";
import { Ago } from "../parts/Time";
import { ActionMenu } from "./Actions";
import { Create } from "./Create";
import { Deleted } from "./Deleted";
import { FirstSteps } from "./FirstSteps";
import classes from "./List.module.css";
import { pathOf } from "./path";
import { StateMark } from "./State";

type Whose = "mine" | "all";

/** Lists shorter than this need no filter. */
const FILTER_FROM = 6;

export function WorkspaceList() {
  const who = useQuery(me).data;
  const list = useQuery(workspaces);
  const [parameters, setParameters] = useSearchParams();
  const creating = parameters.has("create");
  const setCreating = (on: boolean) => setParameters(on ? { create: "" } : {}, { replace: true });
  // Asked once for all rows: hundreds that each ask make React think that it never ends.
  const wide = useMediaQuery("(min-width: 62em)", true);
  const [filter, setFilter] = useState("");
  const [whose, setWhose] = useState<Whose>("mine");
  const field = useRef<HTMLInputElement>(null);
  useHotkeys([
    ["n", () => setCreating(true)],
    ["/", () => field.current?.focus()],
  ]);
  if (!who) return null;

  const all = list.data ?? [];
  const mine = all.filter((one) => one.owner === who.name);
  const others = all.length - mine.length;
  const from = others > 0 && whose === "all" ? all : mine;
  const shown = from.filter((one) => matches(one, filter)).sort(byName(who));

  return (
    <>
      <PageTitle title="Workspaces">
        {others > 0 && (
          <SegmentedControl
            size="xs"
            aria-label="Whose workspaces"
            value={whose}
            onChange={(value) => setWhose(value === "all" ? "all" : "mine")}
            data={[
              { value: "mine", label: `Mine (${mine.length})` },
              { value: "all", label: `Everyone's (${all.length})` },
            ]}
          />
        )}
        {(from.length >= FILTER_FROM || filter !== "") && (
          <TextInput
            ref={field}
            aria-label="Filter"
            placeholder="Filter"
            leftSection={<IconFilter size={15} />}
            value={filter}
            onChange={(event) => setFilter(event.currentTarget.value)}
            w={180}
          />
        )}
        <Button leftSection={<IconPlus size={16} aria-hidden />} onClick={() => setCreating(true)}>
          Create
        </Button>
      </PageTitle>

      {!who.has_password && <SetPassword who={who} />}

      {list.isError && !list.data && (
        <Failure title="The workspaces can't be shown" error={list.error} retry={() => void list.refetch()} />
      )}
      {list.isPending && <Waiting />}
      {list.data && (
        <div className={classes.list}>
          {shown.length > 0 ? (
            <ul aria-label="Workspaces">
              {shown.map((one) => (
                <Row key={one.id} workspace={one} who={who} wide={wide} />
              ))}
            </ul>
          ) : filter !== "" ? (
            <Empty icon={<IconFilter size={22} />} title={`No workspace matches “${filter}”`} />
          ) : (
            <Empty
              icon={<IconStack2 size={22} />}
              title="Create your first workspace"
              action={
                <Button size="md" onClick={() => setCreating(true)}>
                  Create a workspace
                </Button>
              }
            >
              A workspace is your place to work: a home folder, a shell, an editor in the browser, and an
              address for every web application you start in it.
            </Empty>
          )}
        </div>
      )}
      {list.data && <Deleted who={who} everyones={whose === "all"} taken={all} />}
      {list.data && <FirstSteps mine={mine} />}
      <Create opened={creating} close={() => setCreating(false)} taken={mine.map((one) => one.name)} />
    </>
  );
}

function matches(one: Workspace, filter: string): boolean {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  return words.every(
    (word) => one.name.includes(word) || one.owner.includes(word) || one.state.includes(word),
  );
}

/** One's own first, then by owner and name. */
function byName(who: Me): (a: Workspace, b: Workspace) => number {
  const rank = (one: Workspace) => (one.owner === who.name ? "" : one.owner);
  return (a, b) => rank(a).localeCompare(rank(b)) || a.name.localeCompare(b.name);
}

function Waiting() {
  return (
    <div className={classes.list} role="status" aria-label="Loading">
      {[0, 1, 2].map((row) => (
        <div key={row} className={classes.row}>
          <Skeleton height={14} width={120} />
          <Skeleton height={12} width={70} />
        </div>
      ))}
    </div>
  );
}

function Row({ workspace, who, wide }: { workspace: Workspace; who: Me; wide: boolean }) {
  const foreign = workspace.owner !== who.name;
  return (
    <li className={classes.row} data-workspace={workspace.name}>
      <div className={classes.what}>
        <Link className={classes.name} to={pathOf(workspace)}>
          {workspace.name}
          {foreign && <span className={classes.owner}> of {workspace.owner}</span>}
        </Link>
        <div className={classes.state}>
          <StateMark workspace={workspace} />
          {(workspace.state === "stopped" ||
            workspace.state === "asleep" ||
            workspace.state === "running") && (
            <span className={classes.since}>
              <Ago time={workspace.changed} />
            </span>
          )}
        </div>
        {workspace.reason && <p className={classes.reason}>{sentence(workspace.reason.detail)}</p>}
      </div>
      {wide && workspace.may_enter && (
        <div className={classes.ssh}>
          <code>{workspace.ssh}</code>
          <CopyButton text={workspace.ssh} label="Copy the ssh line" />
        </div>
      )}
      <div className={classes.actions}>
        {workspace.may_enter && (
          <>
            <Button
              component="a"
              href={workspace.urls.editor}
              target="_blank"
              rel="noopener"
              variant="light"
              leftSection={<IconBrandVscode size={16} aria-hidden />}
            >
              Open editor
            </Button>
            <Button
              component={Link}
              to={`${pathOf(workspace)}/terminals`}
              variant="subtle"
              color="gray"
              leftSection={<IconTerminal2 size={16} aria-hidden />}
            >
              Terminal
            </Button>
          </>
        )}
        <ActionMenu workspace={workspace} />
      </div>
    </li>
  );
}
