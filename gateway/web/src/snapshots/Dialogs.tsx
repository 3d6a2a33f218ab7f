/** What one says to take a snapshot, and to make workspaces from one. */
import { Alert, Button, Group, NumberInput, Stack, Textarea, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { useNavigate } from "react-router";

import { explain, request } from "../api/client";
import { snapshots, workspaces } from "../api/queries";
import type { Snapshot, Workspace } from "../api/types";
import { Dialog } from "../parts/Dialog";
import { faultOfName, pathOf, suggestName } from "../workspaces/path";

interface Opened {
  opened: boolean;
  close: () => void;
}

interface FormProps {
  close: () => void;
  confirm: string;
  failed: string;
  ready: boolean;
  pending: boolean;
  error: unknown;
  act: () => void;
  children: ReactNode;
}

function Form({ close, confirm, failed, ready, pending, error, act, children }: FormProps) {
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (ready) act();
      }}
    >
      <Stack gap="md">
        {children}
        {error != null && (
          <Alert color="red" title={failed} role="alert">
            {explain(error)}
          </Alert>
        )}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={close}>
            Cancel
          </Button>
          <Button type="submit" disabled={!ready} loading={pending}>
            {confirm}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

const PLAIN = { autoComplete: "off", autoCapitalize: "none", spellCheck: false } as const;

/** Takes a snapshot. */
export function Take({ opened, close, ...rest }: Opened & { workspace: Workspace; taken: string[] }) {
  return (
    <Dialog opened={opened} onClose={close} title={`Take a snapshot of ${rest.workspace.name}`}>
      <TakeForm close={close} {...rest} />
    </Dialog>
  );
}

function TakeForm({ close, workspace, taken }: { close: () => void; workspace: Workspace; taken: string[] }) {
  const queries = useQueryClient();
  const [name, setName] = useState(() =>
    `${workspace.name}-${new Date().toISOString().slice(0, 10)}`.slice(0, 40),
  );
  const [description, setDescription] = useState("");
  const fault = faultOfName(name, taken);
  const take = useMutation({
    mutationFn: () =>
      request("POST", "/workspaces/{id}/snapshots", {
        path: { id: workspace.id },
        body: { name, description: description.trim() },
      }),
    onSuccess: close,
    onSettled: () => queries.invalidateQueries(snapshots),
  });
  return (
    <Form
      close={close}
      confirm="Take snapshot"
      failed="It wasn't taken"
      ready={fault === null}
      pending={take.isPending}
      error={take.error}
      act={() => take.mutate()}
    >
      <TextInput
        label="Name"
        description="Lower-case letters, digits and hyphens"
        value={name}
        onChange={(event) => setName(event.currentTarget.value.trim())}
        onFocus={(event) => event.currentTarget.select()}
        error={fault}
        data-autofocus
        {...PLAIN}
      />
      <Textarea
        label="Description"
        description="What you will want to know of it later"
        maxLength={500}
        autosize
        minRows={2}
        value={description}
        onChange={(event) => setDescription(event.currentTarget.value)}
      />
    </Form>
  );
}

/** Makes a workspace from a snapshot. */
export function FromSnapshot({ opened, close, snapshot }: Opened & { snapshot: Snapshot }) {
  return (
    <Dialog opened={opened} onClose={close} title={`Create a workspace from ${snapshot.name}`}>
      <FromForm close={close} snapshot={snapshot} />
    </Dialog>
  );
}

function FromForm({ close, snapshot }: { close: () => void; snapshot: Snapshot }) {
  const navigate = useNavigate();
  const queries = useQueryClient();
  const all = useQuery(workspaces).data ?? [];
  const taken = all.filter((one) => one.owner === snapshot.owner).map((one) => one.name);
  const [name, setName] = useState(() => suggestName(taken));
  const make = useMutation({
    mutationFn: () => request("POST", "/workspaces", { body: { name, start: true, snapshot: snapshot.id } }),
    onSuccess: async (created) => {
      await queries.invalidateQueries(workspaces);
      close();
      void navigate(pathOf(created));
    },
  });
  const fault = make.isSuccess ? null : faultOfName(name, taken);
  return (
    <Form
      close={close}
      confirm="Create and start"
      failed="It wasn't created"
      ready={fault === null}
      pending={make.isPending}
      error={make.error}
      act={() => make.mutate()}
    >
      <TextInput
        label="Name"
        value={name}
        onChange={(event) => setName(event.currentTarget.value.trim())}
        onFocus={(event) => event.currentTarget.select()}
        error={fault}
        data-autofocus
        {...PLAIN}
      />
    </Form>
  );
}

/** Makes workspaces like one. */
export function Clone({ opened, close, workspace }: Opened & { workspace: Workspace }) {
  return (
    <Dialog opened={opened} onClose={close} title={`Clone ${workspace.name}`}>
      <CloneForm close={close} workspace={workspace} />
    </Dialog>
  );
}

function CloneForm({ close, workspace }: { close: () => void; workspace: Workspace }) {
  const navigate = useNavigate();
  const queries = useQueryClient();
  const [prefix, setPrefix] = useState(workspace.name);
  const [count, setCount] = useState<number>(1);
  const clone = useMutation({
    mutationFn: () =>
      request("POST", "/workspaces/{id}/clones", { path: { id: workspace.id }, body: { prefix, count } }),
    onSuccess: async () => {
      await queries.invalidateQueries(workspaces);
      close();
      void navigate("/workspaces");
    },
  });
  const fault = faultOfName(prefix, []);
  const names = count === 1 ? `${prefix}-1` : `${prefix}-1 to ${prefix}-${count}`;
  return (
    <Form
      close={close}
      confirm="Clone"
      failed="Nothing was cloned"
      ready={fault === null && count >= 1 && count <= 50}
      pending={clone.isPending}
      error={clone.error}
      act={() => clone.mutate()}
    >
      <NumberInput
        label="How many"
        min={1}
        max={50}
        allowDecimal={false}
        value={count}
        onChange={(value) => setCount(typeof value === "number" ? value : 1)}
        data-autofocus
      />
      <TextInput
        label="Names begin with"
        description={`They are called ${names}`}
        value={prefix}
        onChange={(event) => setPrefix(event.currentTarget.value.trim())}
        error={fault}
        {...PLAIN}
      />
    </Form>
  );
}
