/** What a workspace does when it starts, as it happens. */
import { Alert, Button, Loader } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconAlertTriangle, IconCheck, IconCircleDashed, IconMinus, IconX } from "@tabler/icons-react";
import { useEffect, useState } from "react";

import { address } from "../api/client";
import { follow, object } from "../api/live";
import type { Startup, StartupStep } from "../api/types";
import { append } from "../logs/lines";
import { Dialog } from "../parts/Dialog";
import { sentence } from "../parts/format";
import { Panel } from "../parts/Panel";
import { useWorkspace } from "./context";
import classes from "./StartUp.module.css";
import { isStartup, stepWords, words } from "./startup";

/** How many past lines are shown at first. */
const TAIL = 1000;

/** Follows the start-up while there is one to follow. */
function useStartup(workspace: string, there: boolean): Startup | undefined {
  const [known, setKnown] = useState<{ workspace: string; startup: Startup }>();
  useEffect(() => {
    if (!there) return undefined;
    return follow({
      url: address("/workspaces/{id}/startup", { path: { id: workspace } }),
      events: ["startup"],
      receive: (_, data) => {
        const startup = object(data);
        if (isStartup(startup)) setKnown({ workspace, startup });
      },
    });
  }, [workspace, there]);
  return there && known?.workspace === workspace ? known.startup : undefined;
}

export function StartUp() {
  const { workspace } = useWorkspace();
  const there = workspace.state === "running" || workspace.state === "starting";
  const startup = useStartup(workspace.id, there);
  const [log, logOf] = useDisclosure();
  if (!startup || startup.state === "none") return null;
  const { failure } = startup;
  return (
    <Panel
      title="Start-up"
      aside={
        <Button variant="subtle" size="compact-sm" onClick={logOf.open}>
          Log
        </Button>
      }
    >
      <p className={classes.state} role="status">
        {words(startup)}
      </p>
      {failure && (
        <Alert color="red" mb="sm" icon={<IconAlertTriangle size={18} />} role="alert">
          {sentence(startup.detail)}
          {failure.last_line !== "" && <code className={classes.line}>{failure.last_line}</code>}
        </Alert>
      )}
      <ol className={classes.steps}>
        {startup.steps.map((step) => (
          <Step key={step.name} step={step} />
        ))}
      </ol>
      {!failure && startup.step === null && startup.detail !== "" && (
        <p className={classes.detail}>{sentence(startup.detail)}</p>
      )}
      <Dialog opened={log} onClose={logOf.close} title="The start-up's log" size="xl">
        <Log id={workspace.id} />
      </Dialog>
    </Panel>
  );
}

function Step({ step }: { step: StartupStep }) {
  return (
    <li className={classes.step} data-state={step.state}>
      <span className={classes.sign} aria-hidden>
        <Sign state={step.state} />
      </span>
      <span className={classes.name}>{step.name}</span>
      <span className={classes.words}>{stepWords(step)}</span>
    </li>
  );
}

function Sign({ state }: { state: StartupStep["state"] }) {
  switch (state) {
    case "pending":
      return <IconCircleDashed size={16} />;
    case "running":
      return <Loader size={14} color="currentColor" />;
    case "done":
      return <IconCheck size={16} />;
    case "skipped":
      return <IconMinus size={16} />;
    case "failed":
      return <IconX size={16} />;
  }
}

/** The log as it grows. */
function Log({ id }: { id: string }) {
  const [lines, setLines] = useState<string[]>();
  useEffect(
    () =>
      follow({
        url: address("/workspaces/{id}/startup/log", { path: { id }, query: { tail: TAIL } }),
        events: ["log"],
        receive: (_, line) => {
          if (typeof line === "string") setLines((before) => append(before ?? [], [line]));
        },
        // A stream that comes back begins with the past lines again.
        opened: () => setLines([]),
      }),
    [id],
  );
  return (
    // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- it scrolls
    <pre className={classes.log} tabIndex={0} role="log" aria-label="The start-up's log" aria-live="off">
      {lines === undefined ? "…" : lines.join("\n")}
    </pre>
  );
}
