/** How busy a workspace is now. */
import { Anchor, Skeleton } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "react-router";

import { statistics } from "../api/queries";
import type { Statistics } from "../api/types";
import { bytes, counted, percent } from "../parts/format";
import { Panel } from "../parts/Panel";
import { sparkline } from "../statistics/series";
import { pathOf } from "../workspaces/path";
import { useWorkspace } from "./context";
import classes from "./Now.module.css";

/** Samples in a small line: the last ten minutes, one each 10 s. */
const RECENT = 60;

export function Now() {
  const { workspace } = useWorkspace();
  const running = workspace.state === "running";
  const { data } = useQuery({ ...statistics(workspace.id, "hour"), enabled: running });
  if (!running) return null;
  return (
    <Panel
      title="Now"
      aside={
        <Anchor component={Link} to={`${pathOf(workspace)}/statistics`} size="sm" className={classes.all}>
          All statistics
        </Anchor>
      }
    >
      {/* The first numbers come ten seconds after a start. */}
      {data && data.samples.length > 0 ? <Numbers all={data} /> : <Skeleton className={classes.waiting} />}
    </Panel>
  );
}

function Numbers({ all }: { all: Statistics }) {
  const last = all.samples.at(-1);
  if (!last) return null;
  const recent = all.samples.slice(-RECENT);
  return (
    <div className={classes.numbers}>
      <Figure
        name="CPU"
        value={percent(last.cpu_percent)}
        note={`of ${counted(all.cpu_count, "core")}`}
        values={recent.map((sample) => sample.cpu_percent)}
        top={100}
      />
      <Figure
        name="Memory"
        value={bytes(last.memory_bytes)}
        note={`of ${bytes(all.memory_total)}`}
        values={recent.map((sample) => sample.memory_bytes)}
        top={all.memory_total}
      />
      <Figure
        name="Network"
        value={`${bytes(last.received_bytes_per_second + last.sent_bytes_per_second)}/s`}
        note="in and out"
        values={recent.map((sample) => sample.received_bytes_per_second + sample.sent_bytes_per_second)}
      />
    </div>
  );
}

interface FigureProps {
  name: string;
  value: string;
  note: string;
  values: number[];
  top?: number;
}

function Figure({ name, value, note, values, top }: FigureProps) {
  return (
    <div className={classes.figure}>
      <span className={classes.name}>{name}</span>
      <span className={classes.value}>{value}</span>
      <svg viewBox="0 0 100 24" preserveAspectRatio="none" className={classes.line} aria-hidden>
        <path d={sparkline(values, 100, 24, top)} vectorEffect="non-scaling-stroke" />
      </svg>
      <span className={classes.name}>{note}</span>
    </div>
  );
}
