import { Alert, Button, Group, Stack, Text, TextInput } from "@mantine/core";
import { type ReactNode, useState } from "react";

import { explain } from "../api/client";
import { Dialog } from "./Dialog";

interface Props {
  opened: boolean;
  close: () => void;
  title: string;
  name: string;
  confirm: string;
  pending?: boolean;
  error?: unknown;
  act: () => void;
  children: ReactNode;
}

/** Asks for something's name before it is gone for good. */
export function ConfirmByName(props: Props) {
  return (
    <Dialog opened={props.opened} onClose={props.close} title={props.title}>
      <Form {...props} />
    </Dialog>
  );
}

// A component of its own, so that each opening begins with an empty field.
function Form({ close, name, confirm, pending = false, error, act, children }: Props) {
  const [typed, setTyped] = useState("");
  const matches = typed.trim() === name;
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (matches) act();
      }}
    >
      <Stack gap="md">
        <Text size="md" component="div">
          {children}
        </Text>
        <TextInput
          label={
            <>
              Type <b>{name}</b> to confirm
            </>
          }
          value={typed}
          onChange={(event) => setTyped(event.currentTarget.value)}
          data-autofocus
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
        />
        {error != null && (
          <Alert color="red" role="alert">
            {explain(error)}
          </Alert>
        )}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={close}>
            Cancel
          </Button>
          <Button type="submit" color="red.9" disabled={!matches} loading={pending}>
            {confirm}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
