/** The sign-in: by password, or by the one-time link in the address's fragment. */
import { Alert, Anchor, Button, PasswordInput, Stack, Text, TextInput, Title } from "@mantine/core";
import { useDocumentTitle } from "@mantine/hooks";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { useLocation, useNavigate, useSearchParams } from "react-router";

import { explain, request } from "../api/client";
import { me } from "../api/queries";
import type { Me } from "../api/types";
import { Loading } from "../parts/Loading";
import { Logo } from "../parts/Logo";
import { isPage, linkToken, safeNext } from "./next";
import classes from "./SignIn.module.css";

/** Goes on to where one wanted to be. */
function useEntry() {
  const queries = useQueryClient();
  const navigate = useNavigate();
  const [parameters] = useSearchParams();
  return (who: Me) => {
    queries.clear();
    queries.setQueryData(me.queryKey, who);
    const next = safeNext(parameters.get("next"), location.origin);
    if (isPage(next)) void navigate(next, { replace: true });
    // The fragment goes on with whoever was sent here (RFC 9110 §10.2.2).
    else location.replace(next.includes("#") ? next : next + location.hash);
  };
}

export function SignIn() {
  useDocumentTitle("Sign in · devgate");
  const { hash } = useLocation();
  const token = linkToken(hash);
  // A link that somebody gave up on; another one may be pasted into the same page.
  const [givenUp, setGivenUp] = useState<string | null>(null);
  return (
    <main className={classes.page}>
      <div className={classes.card}>
        <div className={classes.brand}>
          <Logo size={34} />
          <Title order={1}>Sign in to devgate</Title>
        </div>
        {token !== null && token !== givenUp ? (
          <ByLink key={token} token={token} other={() => setGivenUp(token)} />
        ) : (
          <ByPassword />
        )}
      </div>
    </main>
  );
}

function ByLink({ token, other }: { token: string; other: () => void }) {
  const enter = useEntry();
  const { mutate, error } = useMutation({
    mutationFn: () => request("POST", "/login/link", { body: { token } }),
    onSuccess: enter,
  });
  const begun = useRef(false);
  useEffect(() => {
    // A link works once, and React may run this twice.
    if (begun.current) return;
    begun.current = true;
    // It is spent now: it doesn't stay in the address or the history.
    history.replaceState(history.state, "", location.pathname + location.search);
    mutate();
  }, [mutate]);
  if (!error) return <Loading />;
  return (
    <Stack gap="md">
      <Alert color="red" title="This link doesn't work" role="alert">
        {explain(error)}
      </Alert>
      <Text size="md" c="dimmed">
        A link works once, for a day. An administrator makes a new one on the Users page; on the server
        itself, the command line does.
      </Text>
      <Button variant="default" onClick={other}>
        Sign in with a password
      </Button>
    </Stack>
  );
}

function ByPassword() {
  const enter = useEntry();
  const [user, setUser] = useState("");
  const [password, setPassword] = useState("");
  const field = useRef<HTMLInputElement>(null);
  const login = useMutation({
    mutationFn: () => request("POST", "/login", { body: { user: user.trim(), password } }),
    onSuccess: enter,
    onError: () => {
      setPassword("");
      field.current?.focus();
    },
  });
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        login.mutate();
      }}
    >
      <Stack gap="md">
        {login.isError && (
          <Alert color="red" role="alert">
            {explain(login.error)}
          </Alert>
        )}
        <TextInput
          label="User"
          name="username"
          size="md"
          autoComplete="username"
          autoCapitalize="none"
          spellCheck={false}
          // eslint-disable-next-line jsx-a11y/no-autofocus -- it is what the page is for
          autoFocus
          required
          withAsterisk={false}
          value={user}
          onChange={(event) => setUser(event.currentTarget.value)}
        />
        <PasswordInput
          ref={field}
          label="Password"
          name="password"
          size="md"
          autoComplete="current-password"
          required
          withAsterisk={false}
          value={password}
          onChange={(event) => setPassword(event.currentTarget.value)}
        />
        <Button type="submit" size="md" fullWidth mt={4} loading={login.isPending}>
          Sign in
        </Button>
        <details className={classes.help}>
          <summary>First time here, or password forgotten?</summary>
          <Text size="sm" c="dimmed" mt={6}>
            You sign in with a one-time link: <code>devgate up</code> prints one when it starts for the first
            time, and an administrator makes one for you on the Users page. It lets you set a password.{" "}
            <Anchor href="/api/v1/docs" size="sm">
              API documentation
            </Anchor>
          </Text>
        </details>
      </Stack>
    </form>
  );
}
