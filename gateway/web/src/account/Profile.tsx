import { Alert, Button, Checkbox, PasswordInput, Stack, Text } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { explain, request } from "../api/client";
import { limits, me } from "../api/queries";
import type { Me } from "../api/types";
import { Allotment } from "../parts/Allotment";
import { PageTitle } from "../parts/PageTitle";
import { Panel } from "../parts/Panel";
import { Ago } from "../parts/Time";
import { SHORTEST_PASSWORD } from "./SetPassword";

export default function Profile() {
  const who = useQuery(me).data;
  if (!who) return null;
  return (
    <>
      <PageTitle title={who.name} />
      <Stack gap="md" maw={480}>
        <Text size="md" c="dimmed">
          {who.role === "admin" ? "Administrator" : "Member"}, since <Ago time={who.created} />
        </Text>
        <Limits />
        <Panel title={who.has_password ? "Change the password" : "Set a password"}>
          <Password who={who} />
        </Panel>
      </Stack>
    </>
  );
}

function Limits() {
  const may = useQuery(limits).data;
  if (!may) return null;
  return (
    <Panel title="What you have">
      <Allotment values={may.own} />
    </Panel>
  );
}

function Password({ who }: { who: Me }) {
  const queries = useQueryClient();
  const [current, setCurrent] = useState("");
  const [password, setPassword] = useState("");
  const [again, setAgain] = useState("");
  const [endTokens, setEndTokens] = useState(false);
  const change = useMutation({
    mutationFn: () =>
      request("PUT", "/me/password", {
        body: who.has_password
          ? { current_password: current, password, end_tokens: endTokens }
          : { password },
      }),
    onSuccess: () => {
      queries.setQueryData(me.queryKey, { ...who, has_password: true });
      void queries.invalidateQueries({ queryKey: ["tokens"] });
      notifications.show({ message: "Your password is changed" });
      setCurrent("");
      setPassword("");
      setAgain("");
    },
  });
  const short = password !== "" && password.length < SHORTEST_PASSWORD;
  const differs = again !== "" && again !== password;
  const ready =
    password.length >= SHORTEST_PASSWORD && again === password && (!who.has_password || current !== "");
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (ready) change.mutate();
      }}
    >
      <Stack gap="md">
        <input type="hidden" name="username" autoComplete="username" value={who.name} readOnly />
        {who.has_password && (
          <PasswordInput
            label="Password so far"
            autoComplete="current-password"
            value={current}
            onChange={(event) => setCurrent(event.currentTarget.value)}
          />
        )}
        <PasswordInput
          label="New password"
          autoComplete="new-password"
          value={password}
          onChange={(event) => setPassword(event.currentTarget.value)}
          error={short ? `Use ${SHORTEST_PASSWORD} characters or more.` : null}
        />
        <PasswordInput
          label="New password again"
          autoComplete="new-password"
          value={again}
          onChange={(event) => setAgain(event.currentTarget.value)}
          error={differs ? "The two differ." : null}
        />
        {who.has_password && (
          <Checkbox
            label="End my API tokens, too"
            description="Other logins end in any case."
            checked={endTokens}
            onChange={(event) => setEndTokens(event.currentTarget.checked)}
          />
        )}
        {change.isError && (
          <Alert color="red" role="alert">
            {explain(change.error)}
          </Alert>
        )}
        <Button
          type="submit"
          disabled={!ready}
          loading={change.isPending}
          style={{ alignSelf: "flex-start" }}
        >
          {who.has_password ? "Change password" : "Set password"}
        </Button>
      </Stack>
    </form>
  );
}
