/** A workspace at a glance: how to get in, what it serves, how busy it is. */
import { Text } from "@mantine/core";

import { Panel } from "../parts/Panel";
import { Ago } from "../parts/Time";
import { Awake } from "./Awake";
import { Connect } from "./Connect";
import { useWorkspace } from "./context";
import { Now } from "./Now";
import classes from "./Overview.module.css";
import { Ports } from "./Ports";
import { StartUp } from "./StartUp";

export function Overview() {
  const { workspace } = useWorkspace();
  return (
    <div className={classes.columns}>
      <div className={classes.column}>
        {workspace.may_enter ? (
          <Connect />
        ) : (
          <Panel title={`Belongs to ${workspace.owner}`}>
            <Text size="md">You can start, stop and delete it. Only {workspace.owner} can enter it.</Text>
          </Panel>
        )}
      </div>
      <div className={classes.column}>
        <StartUp />
        {workspace.may_enter && <Ports />}
        <Now />
        <Awake />
        <dl className={classes.facts}>
          <div>
            <dt>Created</dt>
            <dd>
              <Ago time={workspace.created} />
            </dd>
          </div>
          {workspace.template && (
            <div>
              <dt>Template</dt>
              <dd>
                {workspace.template.name} <code>{workspace.template.version}</code>
                {workspace.template.behind === true && ": it has changed since, a rebuild takes it up"}
                {workspace.template.behind === null && ": it is gone or can’t be used"}
              </dd>
            </div>
          )}
          <div>
            <dt>Id</dt>
            <dd>
              <code>{workspace.id}</code>
            </dd>
          </div>
          {workspace.out_of_memory && (
            <div>
              <dt>Out of memory</dt>
              <dd>
                {workspace.out_of_memory.program ?? "A program"} was killed{" "}
                <Ago time={workspace.out_of_memory.time} />
              </dd>
            </div>
          )}
          {workspace.agent && (
            <div>
              <dt>Agent</dt>
              <dd>
                {workspace.agent.version}
                {workspace.agent.connected ? "" : ", not connected"}
              </dd>
            </div>
          )}
        </dl>
      </div>
    </div>
  );
}
