/** What a workspace logs, as it comes; searched and downloaded. */
import { Button, TextInput } from "@mantine/core";
import { useDebouncedValue, useHotkeys } from "@mantine/hooks";
import { useVirtualizer } from "@tanstack/react-virtual";
import { IconArrowDown, IconDownload, IconFileText, IconSearch } from "@tabler/icons-react";
import { useEffect, useMemo, useRef, useState } from "react";

import { address } from "../api/client";
import { follow } from "../api/live";
import { Empty } from "../parts/Empty";
import { counted } from "../parts/format";
import { useWorkspace } from "../workspace/context";
import { append, level, search } from "./lines";
import classes from "./Logs.module.css";

const LINE_HEIGHT = 19;

/** How many past lines are shown at first. */
const TAIL = 2000;

type Link = "waiting" | "live" | "lost";

/** Follows the log. A burst of lines is shown at once, not line by line. */
function useLog(workspace: string): { lines: string[]; link: Link } {
  const [lines, setLines] = useState<string[]>([]);
  const [link, setLink] = useState<Link>("waiting");
  useEffect(() => {
    let waiting: string[] = [];
    let frame: number | undefined;
    let fresh = true;
    const show = () => {
      frame = undefined;
      const more = waiting;
      const start = fresh;
      waiting = [];
      fresh = false;
      setLines((before) => append(start ? [] : before, more));
    };
    const stop = follow({
      url: address("/workspaces/{id}/logs", { path: { id: workspace }, query: { tail: TAIL } }),
      events: ["log"],
      receive: (_, line) => {
        if (typeof line !== "string") return;
        waiting.push(line);
        frame ??= requestAnimationFrame(show);
      },
      opened: () => {
        // A stream that comes back begins with the past lines again.
        waiting = [];
        fresh = true;
        setLink("live");
      },
      broken: () => setLink("lost"),
    });
    return () => {
      stop();
      if (frame !== undefined) cancelAnimationFrame(frame);
    };
  }, [workspace]);
  return { lines, link };
}

export default function Logs() {
  const { workspace } = useWorkspace();
  const { lines, link } = useLog(workspace.id);
  const [text, setText] = useState("");
  const [wanted] = useDebouncedValue(text, 120);
  const shown = useMemo(() => search(lines, wanted), [lines, wanted]);
  const [atEnd, setAtEnd] = useState(true);
  const field = useRef<HTMLInputElement>(null);
  const view = useRef<HTMLDivElement>(null);
  useHotkeys([["/", () => field.current?.focus()]]);

  // eslint-disable-next-line react-hooks/incompatible-library -- the rows aren't memoised
  const rows = useVirtualizer({
    count: shown.length,
    getScrollElement: () => view.current,
    estimateSize: () => LINE_HEIGHT,
    overscan: 40,
  });
  useEffect(() => {
    if (atEnd && shown.length > 0) rows.scrollToIndex(shown.length - 1, { align: "end" });
  }, [atEnd, shown.length, rows]);
  const longest = useMemo(() => shown.reduce((most, line) => Math.max(most, line.length), 0), [shown]);

  return (
    <div className={classes.page} data-fill>
      <div className={classes.bar}>
        <TextInput
          ref={field}
          aria-label="Search the log"
          placeholder="Search"
          leftSection={<IconSearch size={15} />}
          value={text}
          onChange={(event) => setText(event.currentTarget.value)}
          className={classes.search}
        />
        <span className={classes.count} role="status">
          {wanted === ""
            ? counted(lines.length, "line")
            : `${shown.length} of ${counted(lines.length, "line")}`}
          {link === "lost" && " · trying to reconnect"}
        </span>
        <Button
          component="a"
          href={address("/workspaces/{id}/logs", { path: { id: workspace.id }, query: { download: true } })}
          download
          variant="default"
          leftSection={<IconDownload size={16} aria-hidden />}
        >
          Download
        </Button>
      </div>
      <div className={classes.frame}>
        {lines.length === 0 && link === "live" && (
          <div className={classes.empty}>
            <Empty icon={<IconFileText size={22} />} title="Nothing logged yet">
              What the workspace’s agent says appears here as it happens.
            </Empty>
          </div>
        )}
        <div
          ref={view}
          className={classes.view}
          role="log"
          aria-label={`Log of ${workspace.name}`}
          aria-live="off"
          // It scrolls, so it can be reached by keyboard.
          // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
          tabIndex={0}
          onScroll={(event) => {
            const { scrollTop, scrollHeight, clientHeight } = event.currentTarget;
            setAtEnd(scrollHeight - scrollTop - clientHeight < 2 * LINE_HEIGHT);
          }}
        >
          <div
            className={classes.lines}
            style={{ height: rows.getTotalSize(), minWidth: `calc(${longest}ch + 2rem)` }}
          >
            {rows.getVirtualItems().map((row) => {
              const line = shown[row.index] ?? "";
              return (
                <div
                  key={row.key}
                  className={classes.line}
                  data-level={level(line)}
                  style={{ transform: `translateY(${row.start}px)` }}
                >
                  {line}
                </div>
              );
            })}
          </div>
        </div>
        {!atEnd && (
          <Button
            className={classes.end}
            size="xs"
            leftSection={<IconArrowDown size={14} aria-hidden />}
            onClick={() => setAtEnd(true)}
          >
            To the end
          </Button>
        )}
      </div>
    </div>
  );
}
