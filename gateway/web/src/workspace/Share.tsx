/** Opens a port to others, for as long as one wants. */
import { Alert, Button, Group, Select, Stack, Text } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { IconWorld } from "@tabler/icons-react";
import { useState } from "react";

import { explain, request } from "../api/client";
import { ports } from "../api/queries";
import type { Port, Visibility } from "../api/types";
import { CopyLine } from "../parts/Copy";
import { Dialog } from "../parts/Dialog";

export const WORDS: Record<Visibility, { name: string; meaning: string }> = {
  private: { name: "Private", meaning: "You alone, signed in" },
  members: { name: "Members", meaning: "Everybody who can sign in here" },
  public: { name: "Public", meaning: "Everybody with the address, without signing in" },
};

const TIMES = [
  { value: "1", label: "1 hour" },
  { value: "8", label: "8 hours" },
  { value: "24", label: "1 day" },
  { value: "168", label: "1 week" },
  { value: "", label: "Until I change it" },
];

interface Change {
  visibility: Visibility;
  hours?: number;
}

export function useVisibility(id: string, port: number) {
  const queries = useQueryClient();
  const change = useMutation({
    mutationFn: ({ visibility, hours }: Change) => {
      const path = { id, port: String(port) };
      if (visibility === "private") return request("DELETE", "/workspaces/{id}/ports/{port}", { path });
      const body: { visibility: Visibility; expires_at?: string } = { visibility };
      if (hours !== undefined) body.expires_at = new Date(Date.now() + hours * 3_600_000).toISOString();
      return request("PUT", "/workspaces/{id}/ports/{port}", { path, body });
    },
    onSuccess: (_, { visibility }) => {
      notifications.show({ message: `Port ${port} is ${WORDS[visibility].name.toLowerCase()} now` });
    },
    onError: (error) => {
      notifications.show({ color: "red", title: `Port ${port} stays as it is`, message: explain(error) });
    },
    onSettled: () => queries.invalidateQueries(ports(id)),
  });
  return { change };
}

interface Props {
  opened: boolean;
  close: () => void;
  id: string;
  port: Port;
  visibility: "members" | "public";
}

export function Share(props: Props) {
  const { name } = WORDS[props.visibility];
  return (
    <Dialog
      opened={props.opened}
      onClose={props.close}
      title={`Make port ${props.port.port} ${name.toLowerCase()}`}
    >
      <Form {...props} />
    </Dialog>
  );
}

function Form({ close, id, port, visibility }: Props) {
  const [hours, setHours] = useState<string>(visibility === "public" ? "8" : "");
  const { change } = useVisibility(id, port.port);
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        change.mutate(hours === "" ? { visibility } : { visibility, hours: Number(hours) }, {
          onSuccess: close,
        });
      }}
    >
      <Stack gap="md">
        {visibility === "public" ? (
          <Alert color="yellow" icon={<IconWorld size={18} />}>
            Everybody who has the address sees the application, and nobody is asked to sign in.
          </Alert>
        ) : (
          <Text size="md">Everybody who can sign in to this devgate sees the application.</Text>
        )}
        <CopyLine text={port.url} label="Copy the address" />
        <Select
          label="For how long"
          data={TIMES}
          value={hours}
          onChange={(value) => setHours(value ?? "")}
          allowDeselect={false}
        />
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={close}>
            Cancel
          </Button>
          <Button type="submit" loading={change.isPending}>
            Make it {WORDS[visibility].name.toLowerCase()}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
