/** Makes a workspace anew from its template. */
import { Alert, Button, Group, Stack, Text } from "@mantine/core";
import { useState } from "react";

import { explain } from "../api/client";
import { useRebuild } from "../api/lifecycle";
import type { Workspace } from "../api/types";
import { Dialog } from "../parts/Dialog";
import { asked, NO_CHOICE, TemplateFields } from "./Template";

interface Props {
  opened: boolean;
  close: () => void;
  workspace: Workspace;
}

export function Rebuild(props: Props) {
  return (
    <Dialog opened={props.opened} onClose={props.close} title={`Rebuild ${props.workspace.name}?`}>
      <Form {...props} />
    </Dialog>
  );
}

function Form({ close, workspace }: Props) {
  const rebuild = useRebuild();
  const [choice, choose] = useState({ ...NO_CHOICE, template: workspace.template?.name ?? null });
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        rebuild.mutate({ workspace, choice: asked(choice) }, { onSuccess: close });
      }}
    >
      <Stack gap="md">
        <Text size="md">
          Its home folder is kept. Everything else in it is made anew, and whatever runs in it ends.
        </Text>
        <TemplateFields choice={choice} choose={choose} none="As the server's configuration says" />
        {rebuild.isError && (
          <Alert color="red" title="It isn't rebuilt" role="alert">
            {explain(rebuild.error)}
          </Alert>
        )}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={close}>
            Cancel
          </Button>
          <Button type="submit" loading={rebuild.isPending}>
            Rebuild
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
