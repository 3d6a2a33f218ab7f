/** A chart of lines over time, drawn by uPlot. */
import "uplot/dist/uPlot.min.css";

import { useComputedColorScheme } from "@mantine/core";
import { useEffect, useRef } from "react";
import UPlot from "uplot";

import classes from "./Chart.module.css";
import type { Points } from "./series";

const HEIGHT = 150;

/** Charts with this key show the same moment under the pointer. */
const SYNC = "statistics";

export interface Line {
  name: string;
  /** One of the two colours that lines have. */
  colour: "first" | "second";
}

interface Props {
  /** What it shows, for those who don't see it. */
  label: string;
  points: Points;
  lines: readonly Line[];
  format: (value: number) => string;
  /** How the axis writes its numbers, and which steps it may take. */
  axis?: { format: (value: number) => string; steps: number[] };
  /** Shows the axis up to here at least. */
  top?: number;
  /** From and to, in seconds. */
  range: [number, number];
}

const COLOURS = {
  light: { first: "#0c7488", second: "#b3530f", text: "#56606a", grid: "#e6e9ec" },
  dark: { first: "#6fc5d3", second: "#f0a060", text: "#99a3ad", grid: "#262d34" },
};

export function Chart({ label, points, lines, format, axis: scale, top, range }: Props) {
  const host = useRef<HTMLDivElement>(null);
  const chart = useRef<UPlot | undefined>(undefined);
  const scheme = useComputedColorScheme("light");
  const latest = useRef({ points, range, top });
  useEffect(() => {
    latest.current = { points, range, top };
    chart.current?.setData(points);
  }, [points, range, top]);

  useEffect(() => {
    const element = host.current;
    if (!element) return undefined;
    const colours = COLOURS[scheme];
    const font = '11px "Inter Variable", system-ui, sans-serif';
    const axis = {
      font,
      stroke: colours.text,
      ticks: { show: false },
      grid: { stroke: colours.grid, width: 1 },
    };
    const current = new UPlot(
      {
        width: element.clientWidth,
        height: HEIGHT,
        // At the right there is room for half of the last time.
        padding: [8, 18, 0, 0],
        legend: { show: false },
        cursor: { sync: { key: SYNC }, y: false, drag: { x: false, y: false }, points: { size: 6 } },
        scales: {
          x: { range: () => latest.current.range },
          y: { range: (_, __, highest) => [0, Math.max(latest.current.top ?? 0, highest * 1.1) || 1] },
        },
        axes: [
          { ...axis, size: 26, space: 70, values: "{HH}:{mm}" },
          {
            ...axis,
            size: 64,
            space: 26,
            values: (_, ticks) => ticks.map((tick) => (scale?.format ?? format)(tick)),
            ...(scale && { incrs: scale.steps }),
          },
        ],
        series: [
          {},
          ...lines.map((line) => ({
            label: line.name,
            stroke: colours[line.colour],
            width: 1.5,
            fill: lines.length === 1 ? `${colours[line.colour]}1c` : undefined,
            points: { show: false },
          })),
        ],
        hooks: { setCursor: [(plot) => tell(plot, lines, format)] },
      },
      latest.current.points,
      element,
    );
    chart.current = current;
    const observer = new ResizeObserver(() => {
      if (element.clientWidth > 0) current.setSize({ width: element.clientWidth, height: HEIGHT });
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      current.destroy();
      chart.current = undefined;
    };
  }, [scheme, lines, format, scale]);

  return (
    <div className={classes.chart}>
      <div ref={host} role="img" aria-label={label} />
      <div className={classes.tip} data-tip aria-hidden />
    </div>
  );
}

/** Writes what is under the pointer into the chart's corner. */
function tell(plot: UPlot, lines: readonly Line[], format: (value: number) => string): void {
  const tip = plot.root.parentElement?.parentElement?.querySelector<HTMLElement>("[data-tip]");
  if (!tip) return;
  const index = plot.cursor.idx;
  const time = index == null ? undefined : plot.data[0][index];
  if (index == null || time === undefined) {
    tip.textContent = "";
    return;
  }
  const values = lines.map((line, at) => {
    const value = plot.data[at + 1]?.[index];
    const text = value == null ? "no data" : format(value);
    return lines.length > 1 ? `${line.name} ${text}` : text;
  });
  tip.textContent = `${new Date(time * 1000).toLocaleTimeString()} · ${values.join(" · ")}`;
}
