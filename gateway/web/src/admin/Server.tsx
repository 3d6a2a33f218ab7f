/** How the gateway itself is, for administrators. */
import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";

import { limits, server } from "../api/queries";
import { Allotment } from "../parts/Allotment";
import { CopyLine } from "../parts/Copy";
import { Failure } from "../parts/Failure";
import { bytes, duration } from "../parts/format";
import { Loading } from "../parts/Loading";
import { PageTitle } from "../parts/PageTitle";
import { Panel } from "../parts/Panel";
import { Ago } from "../parts/Time";
import classes from "./Server.module.css";

export default function ServerPage() {
  const query = useQuery(server);
  const state = query.data;
  const total = useQuery(limits).data?.total;
  return (
    <>
      <PageTitle title="Server" />
      {query.isError && !state && (
        <Failure
          title="The server's state can't be shown"
          error={query.error}
          retry={() => void query.refetch()}
        />
      )}
      {query.isPending && <Loading />}
      {state && (
        <div className={classes.page}>
          <dl className={classes.figures}>
            <Figure name="Workspaces" value={state.workspaces} note={`${state.running} running`} />
            <Figure name="Agents connected" value={state.agents} />
            <Figure name="Users" value={state.users} />
            <Figure name="Memory" value={bytes(state.memory_bytes)} />
            <Figure
              name="Up for"
              value={duration(state.uptime_seconds)}
              note={
                <>
                  started <Ago time={state.started} />
                </>
              }
            />
            <Figure name="Version" value={state.version} />
          </dl>
          {total && (
            <Panel title="All workspaces together">
              <Allotment values={total} />
            </Panel>
          )}
          <Panel title="Addresses">
            <dl className={classes.addresses}>
              <dt>Dashboard</dt>
              <dd>
                <CopyLine text={state.http_url} label="Copy the dashboard's address" />
              </dd>
              <dt>SSH</dt>
              <dd>
                <CopyLine text={state.ssh_address} label="Copy the SSH address" />
              </dd>
            </dl>
          </Panel>
          <Panel title="SSH host keys">
            <dl className={classes.addresses}>
              {state.host_keys.map((key) => (
                <div key={key.fingerprint} className={classes.pair}>
                  <dt>{key.algorithm}</dt>
                  <dd>
                    <CopyLine text={key.fingerprint} label={`Copy the ${key.algorithm} fingerprint`} />
                  </dd>
                </div>
              ))}
            </dl>
          </Panel>
        </div>
      )}
    </>
  );
}

function Figure({ name, value, note }: { name: string; value: ReactNode; note?: ReactNode }) {
  return (
    <div className={classes.figure}>
      <dt>{name}</dt>
      <dd className={classes.value}>{value}</dd>
      {note != null && <dd className={classes.note}>{note}</dd>}
    </div>
  );
}
