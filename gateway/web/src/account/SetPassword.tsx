/** After the first sign-in by link: a password, so that one gets in again. */
import { Alert, Button, PasswordInput, Text } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { IconLock } from "@tabler/icons-react";
import { useState } from "react";

import { explain, request } from "../api/client";
import { me } from "../api/queries";
import type { Me } from "../api/types";
import classes from "./SetPassword.module.css";

/** Shortest password that the gateway takes, in characters. */
export const SHORTEST_PASSWORD = 8;

export function SetPassword({ who }: { who: Me }) {
  const queries = useQueryClient();
  const [password, setPassword] = useState("");
  const [later, setLater] = useState(false);
  const set = useMutation({
    mutationFn: () => request("PUT", "/me/password", { body: { password } }),
    onSuccess: () => {
      queries.setQueryData(me.queryKey, { ...who, has_password: true });
      notifications.show({ message: "Your password is set" });
    },
  });
  if (later) return null;
  return (
    <form
      className={classes.card}
      aria-label="Set a password"
      onSubmit={(event) => {
        event.preventDefault();
        if (password.length >= SHORTEST_PASSWORD) set.mutate();
      }}
    >
      <IconLock size={20} className={classes.icon} aria-hidden />
      <div className={classes.text}>
        <Text size="md" fw={600}>
          Set a password, {who.name}
        </Text>
        <Text size="sm" c="dimmed">
          Your sign-in link is spent. With a password you get in again.
        </Text>
      </div>
      {/* For password managers, which want to know whose password it is. */}
      <input type="hidden" name="username" autoComplete="username" value={who.name} readOnly />
      <PasswordInput
        className={classes.field}
        aria-label="New password"
        placeholder={`${SHORTEST_PASSWORD} characters or more`}
        autoComplete="new-password"
        value={password}
        onChange={(event) => setPassword(event.currentTarget.value)}
      />
      <div className={classes.buttons}>
        <Button type="submit" disabled={password.length < SHORTEST_PASSWORD} loading={set.isPending}>
          Set password
        </Button>
        <Button variant="subtle" color="gray" onClick={() => setLater(true)}>
          Later
        </Button>
      </div>
      {set.isError && (
        <Alert color="red" role="alert" w="100%">
          {explain(set.error)}
        </Alert>
      )}
    </form>
  );
}
