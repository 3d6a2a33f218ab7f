import { Alert, Button, Group, Stack, TextInput } from "@mantine/core";
import { useState } from "react";
import { useNavigate } from "react-router";

import { explain } from "../api/client";
import { useCreate } from "../api/lifecycle";
import { Dialog } from "../parts/Dialog";
import { faultOfName, pathOf, suggestName } from "./path";
import { asked, NO_CHOICE, TemplateFields } from "./Template";

interface Props {
  opened: boolean;
  close: () => void;
  /** Names that the person has used already. */
  taken: string[];
}

/** Creates a workspace; the name that stands there is free, so Enter is enough. */
export function Create(props: Props) {
  return (
    <Dialog opened={props.opened} onClose={props.close} title="Create a workspace">
      <Form {...props} />
    </Dialog>
  );
}

function Form({ close, taken }: Props) {
  const navigate = useNavigate();
  const create = useCreate();
  const [name, setName] = useState(() => suggestName(taken));
  const [choice, choose] = useState(NO_CHOICE);
  // The same for every try: a retry after a lost answer doesn't make a second one.
  const [idempotency, setIdempotency] = useState(() => randomKey());
  const fault = create.isSuccess ? null : faultOfName(name, taken);
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (fault !== null) return;
        create.mutate(
          { name, idempotency, choice: asked(choice) },
          {
            onSuccess: (workspace) => {
              close();
              void navigate(pathOf(workspace));
            },
          },
        );
      }}
    >
      <Stack gap="md">
        <TextInput
          label="Name"
          description="Lower-case letters, digits and hyphens. You connect with: ssh NAME@…"
          value={name}
          onChange={(event) => {
            setName(event.currentTarget.value.trim());
            setIdempotency(randomKey());
          }}
          onFocus={(event) => event.currentTarget.select()}
          error={fault}
          data-autofocus
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
        />
        <TemplateFields
          choice={choice}
          choose={(chosen) => {
            choose(chosen);
            setIdempotency(randomKey());
          }}
          none="As the server's configuration says"
        />
        {create.isError && (
          <Alert color="red" title="It wasn't created" role="alert">
            {explain(create.error)}
          </Alert>
        )}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={close}>
            Cancel
          </Button>
          <Button type="submit" disabled={fault !== null} loading={create.isPending}>
            Create and start
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

function randomKey(): string {
  const random = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(random, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
