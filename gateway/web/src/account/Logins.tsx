import { Button } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { IconDeviceDesktop, IconDeviceMobile, IconTerminal2 } from "@tabler/icons-react";

import { explain, request } from "../api/client";
import { logins, sshApprovals } from "../api/queries";
import type { Login, SshApproval } from "../api/types";
import { Failure } from "../parts/Failure";
import { browser } from "../parts/format";
import { Loading } from "../parts/Loading";
import { PageTitle } from "../parts/PageTitle";
import rows from "../parts/Rows.module.css";
import { Ago, useNow } from "../parts/Time";

export default function Logins() {
  const list = useQuery(logins);
  return (
    <>
      <PageTitle
        title="Logins"
        description="Browsers that are signed in as you. End those that you don't know, and change your password."
      />
      <Approvals />
      {list.isError && !list.data && (
        <Failure title="Logins can't be shown" error={list.error} retry={() => void list.refetch()} />
      )}
      {list.isPending && <Loading />}
      {list.data && (
        <div className={rows.box}>
          <ul className={rows.list} aria-label="Logins">
            {[...list.data]
              .sort((a, b) => Number(b.current) - Number(a.current) || b.last_used.localeCompare(a.last_used))
              .map((login) => (
                <Row key={login.id} login={login} />
              ))}
          </ul>
        </div>
      )}
    </>
  );
}

/** Approvals that let SSH connections in or have some that go on; nothing where there are none. */
function Approvals() {
  const list = useQuery({ ...sshApprovals, refetchInterval: 15_000 });
  if (!list.data || list.data.length === 0) return null;
  return (
    <div className={rows.box}>
      <ul className={rows.list} aria-label="SSH connections that are let in">
        {list.data.map((approval) => (
          <ApprovalRow key={approval.id} approval={approval} />
        ))}
      </ul>
    </div>
  );
}

function ApprovalRow({ approval }: { approval: SshApproval }) {
  const queries = useQueryClient();
  const end = useMutation({
    mutationFn: () => request("DELETE", "/me/ssh-approvals/{id}", { path: { id: approval.id } }),
    onError: (error) => {
      notifications.show({ color: "red", title: "They are still let in", message: explain(error) });
    },
    onSettled: () => queries.invalidateQueries(sshApprovals),
  });
  // What was let in goes on, and can be ended, when nothing further is let in.
  const isOpen = Date.parse(approval.until) > useNow(15_000).getTime();
  return (
    <li className={rows.row}>
      <IconTerminal2 size={20} aria-hidden />
      <div className={rows.what}>
        <span className={rows.name}>SSH to {approval.login}</span>
        <span className={rows.note}>
          {approval.address} ·{" "}
          {isOpen ? "let in without a key until " : "goes on; let in without a key, and no more since "}
          <Ago time={approval.until} />
        </span>
      </div>
      <Button
        variant="default"
        size="xs"
        loading={end.isPending}
        aria-label={`End SSH to ${approval.login} from ${approval.address}`}
        onClick={() => end.mutate()}
      >
        End
      </Button>
    </li>
  );
}

function Row({ login }: { login: Login }) {
  const queries = useQueryClient();
  const end = useMutation({
    mutationFn: () => request("DELETE", "/me/logins/{id}", { path: { id: login.id } }),
    onSuccess: () => {
      queries.setQueryData(logins.queryKey, (all) => all?.filter((one) => one.id !== login.id));
    },
    onError: (error) => {
      notifications.show({ color: "red", title: "The login goes on", message: explain(error) });
    },
    onSettled: () => queries.invalidateQueries(logins),
  });
  const name = browser(login.user_agent);
  const Icon = /Android|iOS/.test(name) ? IconDeviceMobile : IconDeviceDesktop;
  return (
    <li className={rows.row}>
      <Icon size={20} aria-hidden />
      <div className={rows.what}>
        <span className={rows.name} title={login.user_agent}>
          {name}
          {login.current && (
            <span className={rows.badge} data-strong>
              this one
            </span>
          )}
        </span>
        <span className={rows.note}>
          {login.address} · signed in <Ago time={login.created} /> · used <Ago time={login.last_used} />
        </span>
      </div>
      {!login.current && (
        <Button
          variant="default"
          size="xs"
          loading={end.isPending}
          aria-label={`End the login ${name}, ${login.address}`}
          onClick={() => end.mutate()}
        >
          End
        </Button>
      )}
    </li>
  );
}
