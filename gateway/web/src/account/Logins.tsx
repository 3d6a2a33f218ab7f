import { Button } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { IconDeviceDesktop, IconDeviceMobile } from "@tabler/icons-react";

import { explain, request } from "../api/client";
import { logins } from "../api/queries";
import type { Login } from "../api/types";
import { Failure } from "../parts/Failure";
import { browser } from "../parts/format";
import { Loading } from "../parts/Loading";
import { PageTitle } from "../parts/PageTitle";
import rows from "../parts/Rows.module.css";
import { Ago } from "../parts/Time";

export default function Logins() {
  const list = useQuery(logins);
  return (
    <>
      <PageTitle
        title="Logins"
        description="Browsers that are signed in as you. End those that you don't know, and change your password."
      />
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
