/** How busy a workspace was, in the last hour and the last day. */
import { SegmentedControl } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { IconChartLine } from "@tabler/icons-react";
import { useMemo, useState } from "react";

import { statistics, type Window } from "../api/queries";
import type { Sample, Statistics } from "../api/types";
import { Empty } from "../parts/Empty";
import { Failure } from "../parts/Failure";
import { bytes, bytesShort, counted, percent } from "../parts/format";
import { Loading } from "../parts/Loading";
import { Panel } from "../parts/Panel";
import { useWorkspace } from "../workspace/context";
import { NotRunning } from "../workspace/Page";
import { Chart, type Line } from "./Chart";
import { points, summary } from "./series";
import classes from "./Statistics.module.css";

const SECONDS: Record<Window, number> = { hour: 3600, day: 86_400 };

interface Measure {
  title: string;
  lines: readonly Line[];
  values: readonly ((sample: Sample) => number)[];
  format: (value: number) => string;
  axis?: { format: (value: number) => string; steps: number[] };
  top?: (all: Statistics) => number;
  note: (all: Statistics) => string;
}

/** Powers of two, so that an axis of bytes has round numbers. */
const STEPS = Array.from({ length: 48 }, (_, power) => 2 ** power);
const BYTES = { format: bytesShort, steps: STEPS };
const BYTES_PER_SECOND = { format: (value: number) => `${bytesShort(value)}/s`, steps: STEPS };

const MEASURES: readonly Measure[] = [
  {
    title: "CPU",
    lines: [{ name: "CPU", colour: "first" }],
    values: [(sample) => sample.cpu_percent],
    format: percent,
    top: () => 100,
    note: (all) => counted(all.cpu_count, "core"),
  },
  {
    title: "Memory",
    lines: [{ name: "Memory", colour: "first" }],
    values: [(sample) => sample.memory_bytes],
    format: bytes,
    axis: BYTES,
    note: (all) => `of ${bytes(all.memory_total)}`,
  },
  {
    title: "Disk",
    lines: [{ name: "Disk", colour: "first" }],
    values: [(sample) => sample.disk_bytes],
    format: bytes,
    axis: BYTES,
    note: (all) => `of ${bytes(all.disk_total)}`,
  },
  {
    title: "Network",
    lines: [
      { name: "in", colour: "first" },
      { name: "out", colour: "second" },
    ],
    values: [(sample) => sample.received_bytes_per_second, (sample) => sample.sent_bytes_per_second],
    format: (value) => `${bytes(value)}/s`,
    axis: BYTES_PER_SECOND,
    note: () => "in and out",
  },
];

export default function StatisticsTab() {
  const { workspace } = useWorkspace();
  const [window, setWindow] = useState<Window>("hour");
  const running = workspace.state === "running";
  const query = useQuery({ ...statistics(workspace.id, window), enabled: running });
  if (!running) return <NotRunning workspace={workspace} what="Statistics" />;
  if (query.isError && !query.data) {
    return (
      <Failure title="Statistics can't be shown" error={query.error} retry={() => void query.refetch()} />
    );
  }
  if (!query.data) return <Loading />;
  return (
    <>
      <div className={classes.bar}>
        <SegmentedControl
          size="xs"
          aria-label="Time shown"
          value={window}
          onChange={(value) => setWindow(value === "day" ? "day" : "hour")}
          data={[
            { value: "hour", label: "Last hour" },
            { value: "day", label: "Last 24 hours" },
          ]}
        />
        <span className={classes.processes}>
          {counted(query.data.samples.at(-1)?.processes ?? 0, "process", "processes")}
        </span>
      </div>
      {query.data.samples.length === 0 ? (
        <Empty icon={<IconChartLine size={22} />} title="Nothing measured yet">
          The first numbers come within {counted(query.data.interval_seconds, "second")}.
        </Empty>
      ) : (
        <div className={classes.charts}>
          {MEASURES.map((measure) => (
            <MeasureChart key={measure.title} measure={measure} all={query.data} window={window} />
          ))}
        </div>
      )}
    </>
  );
}

function MeasureChart({ measure, all, window }: { measure: Measure; all: Statistics; window: Window }) {
  const shaped = useMemo(
    () => points(all.samples, all.interval_seconds, measure.values),
    [all.samples, all.interval_seconds, measure],
  );
  const range = useMemo((): [number, number] => {
    const end = shaped[0].at(-1) ?? 0;
    return [end - SECONDS[window], end];
  }, [shaped, window]);
  const sums = measure.values.map((value) => summary(all.samples, value));
  const label = measure.lines
    .map((line, index) => {
      const sum = sums[index];
      return sum
        ? `${measure.title}, ${line.name}: now ${measure.format(sum.now)}, average ${measure.format(sum.average)}, highest ${measure.format(sum.highest)}`
        : measure.title;
    })
    .join("; ");
  return (
    <Panel title={measure.title} aside={<span className={classes.note}>{measure.note(all)}</span>}>
      <div className={classes.sums}>
        {measure.lines.map((line, index) => {
          const sum = sums[index];
          return (
            sum && (
              <span key={line.name}>
                {measure.lines.length > 1 && <i data-colour={line.colour} aria-hidden />}
                <b>{measure.format(sum.now)}</b>
                <span className={classes.note}>
                  {measure.lines.length > 1 ? ` ${line.name}` : ""} · avg {measure.format(sum.average)} · max{" "}
                  {measure.format(sum.highest)}
                </span>
              </span>
            )
          );
        })}
      </div>
      <Chart
        label={label}
        points={shaped}
        lines={measure.lines}
        format={measure.format}
        range={range}
        {...(measure.axis && { axis: measure.axis })}
        {...(measure.top && { top: measure.top(all) })}
      />
    </Panel>
  );
}
