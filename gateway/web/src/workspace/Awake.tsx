/** Why a workspace runs, how long it will, and what to do about it. */
import { Alert, Button, Menu, Skeleton } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { IconAlarm, IconChevronDown, IconMoon, IconX } from "@tabler/icons-react";

import { explain, request } from "../api/client";
import { useAction } from "../api/lifecycle";
import { leases, whyRunning } from "../api/queries";
import type { AwakeReason, Lease, Schedule, WhyRunning, Workspace } from "../api/types";
import { counted, sentence } from "../parts/format";
import { Panel } from "../parts/Panel";
import { Ago } from "../parts/Time";
import classes from "./Awake.module.css";
import { useWorkspace } from "./context";

/** How long one may keep it awake from here, in hours. */
const HOURS = [1, 2, 8, 24] as const;

function useKeepAwake(workspace: Workspace) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (hours: number) =>
      request("POST", "/workspaces/{id}/keep-awake", {
        path: { id: workspace.id },
        body: { seconds: hours * 3600, reason: "" },
      }),
    onError: (error) => {
      notifications.show({
        color: "red",
        title: `${workspace.name} isn't kept awake`,
        message: explain(error),
      });
    },
    onSettled: () => refresh(queries, workspace),
  });
}

function useEndLease(workspace: Workspace) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (lease: string) =>
      request("DELETE", "/workspaces/{id}/keep-awake/{lease}", { path: { id: workspace.id, lease } }),
    onError: (error) => {
      notifications.show({ color: "red", title: "It didn't end", message: explain(error) });
    },
    onSettled: () => refresh(queries, workspace),
  });
}

function refresh(queries: ReturnType<typeof useQueryClient>, workspace: Workspace) {
  return Promise.all([
    queries.invalidateQueries(whyRunning(workspace.id)),
    queries.invalidateQueries(leases(workspace.id)),
  ]);
}

/** The panel of a workspace's page. */
export function Awake() {
  const { workspace } = useWorkspace();
  const action = useAction();
  const why = useQuery(whyRunning(workspace.id)).data;
  const held = useQuery(leases(workspace.id)).data ?? [];
  const running = workspace.state === "running";
  return (
    <Panel
      title={running ? "Why it runs" : "Sleep"}
      aside={
        <div className={classes.actions}>
          <KeepAwakeMenu workspace={workspace} />
          {running && (
            <Button
              size="xs"
              variant="default"
              leftSection={<IconMoon size={14} aria-hidden />}
              onClick={() => action.mutate({ workspace, action: "sleep" })}
            >
              Sleep now
            </Button>
          )}
        </div>
      }
    >
      {why ? <Told workspace={workspace} why={why} held={held} /> : <Skeleton className={classes.waiting} />}
    </Panel>
  );
}

function KeepAwakeMenu({ workspace }: { workspace: Workspace }) {
  const keep = useKeepAwake(workspace);
  return (
    <Menu position="bottom-end" shadow="md">
      <Menu.Target>
        <Button
          size="xs"
          variant="default"
          loading={keep.isPending}
          leftSection={<IconAlarm size={14} aria-hidden />}
          rightSection={<IconChevronDown size={14} aria-hidden />}
        >
          Keep awake
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        {HOURS.map((hours) => (
          <Menu.Item key={hours} onClick={() => keep.mutate(hours)}>
            For {counted(hours, "hour")}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}

function Told({ workspace, why, held }: { workspace: Workspace; why: WhyRunning; held: Lease[] }) {
  // The gateway's leases are listed below, where they can be ended.
  const listed = (reason: AwakeReason) =>
    reason.kind === "lease" && held.some((lease) => lease.since === reason.since);
  const reasons = why.reasons.filter((reason) => !listed(reason));
  return (
    <div className={classes.told}>
      <p>{summary(workspace, why)}</p>
      {reasons.length > 0 && (
        <ul className={classes.reasons} aria-label="What keeps it awake">
          {reasons.map((reason) => (
            <Reason key={`${reason.kind} ${reason.since} ${reason.detail}`} reason={reason} />
          ))}
        </ul>
      )}
      {held.length > 0 && (
        <ul className={classes.reasons} aria-label="Leases">
          {held.map((lease) => (
            <Held key={lease.id} workspace={workspace} lease={lease} />
          ))}
        </ul>
      )}
      {why.schedule && <Clock schedule={why.schedule} />}
    </div>
  );
}

/** Says in a sentence how long it runs. */
function summary(workspace: Workspace, why: WhyRunning) {
  if (why.state === "asleep") return `${workspace.name} is asleep. The next connection of any kind wakes it.`;
  if (why.state !== "running") return `${workspace.name} isn't running.`;
  if (!why.sleeps_at) return `${workspace.name} runs until somebody stops it.`;
  return (
    <>
      Goes to sleep <Ago time={why.sleeps_at} /> unless something happens.
    </>
  );
}

function Reason({ reason }: { reason: AwakeReason }) {
  return (
    <li>
      <span>{sentence(reason.detail)}</span>
      <span className={classes.when}>
        <Ago time={reason.since} />
        {reason.until && (
          <>
            , ends <Ago time={reason.until} />
          </>
        )}
      </span>
    </li>
  );
}

function Held({ workspace, lease }: { workspace: Workspace; lease: Lease }) {
  const end = useEndLease(workspace);
  return (
    <li>
      <span>
        Kept awake by {lease.by ?? "the server"}
        {lease.reason && `: ${lease.reason}`} <Until time={lease.until} />
      </span>
      <Button
        size="compact-xs"
        variant="subtle"
        leftSection={<IconX size={12} aria-hidden />}
        loading={end.isPending}
        onClick={() => end.mutate(lease.id)}
      >
        End
      </Button>
    </li>
  );
}

function Until({ time }: { time: string }) {
  return (
    <span className={classes.when}>
      ends <Ago time={time} />
    </span>
  );
}

function Clock({ schedule }: { schedule: Schedule }) {
  return (
    <p className={classes.when}>
      By the clock of {schedule.time_zone}
      {schedule.inherited && ", as the server has it"}
      {schedule.next_start && (
        <>
          : wakes <Ago time={schedule.next_start} />
        </>
      )}
      {schedule.next_stop && (
        <>
          {schedule.next_start ? ", " : ": "}may sleep from <Ago time={schedule.next_stop} />
        </>
      )}
    </p>
  );
}

/** Stands above everything once people have been warned. */
export function SleepSoon({ workspace }: { workspace: Workspace }) {
  const keep = useKeepAwake(workspace);
  const running = workspace.state === "running";
  const why = useQuery({ ...whyRunning(workspace.id), enabled: running }).data;
  if (!running || !why?.warned || !why.sleeps_at) return null;
  return (
    <Alert
      mb="md"
      color="yellow"
      icon={<IconMoon size={18} />}
      title={`${workspace.name} goes to sleep soon`}
      role="status"
    >
      <div className={classes.soon}>
        <span>Nobody types in it and nothing works. What runs in it ends then; its files stay.</span>
        <Button size="xs" loading={keep.isPending} onClick={() => keep.mutate(1)}>
          Keep it awake for an hour
        </Button>
      </div>
    </Alert>
  );
}
