import { ActionIcon, Alert, Button, Group, Stack, Text, Textarea, TextInput } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { notifications } from "@mantine/notifications";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { IconKey, IconPlus, IconTrash } from "@tabler/icons-react";
import { useState } from "react";

import { explain, request } from "../api/client";
import { keys } from "../api/queries";
import type { Key } from "../api/types";
import { ConfirmByName } from "../parts/ConfirmByName";
import { CopyLine } from "../parts/Copy";
import { Dialog } from "../parts/Dialog";
import { Empty } from "../parts/Empty";
import { Failure } from "../parts/Failure";
import { Loading } from "../parts/Loading";
import { PageTitle } from "../parts/PageTitle";
import { Ago } from "../parts/Time";
import rows from "../parts/Rows.module.css";
import { commentOf, faultOfKey } from "./public-key";

export default function Keys() {
  const list = useQuery(keys);
  const [adding, { open, close }] = useDisclosure();
  return (
    <>
      <PageTitle title="SSH keys" description="ssh and the editors on your computer sign in with these.">
        <Button leftSection={<IconPlus size={16} aria-hidden />} onClick={open}>
          Add a key
        </Button>
      </PageTitle>
      {list.isError && !list.data && (
        <Failure title="Keys can't be shown" error={list.error} retry={() => void list.refetch()} />
      )}
      {list.isPending && <Loading />}
      {list.data && (
        <div className={rows.box}>
          {list.data.length > 0 ? (
            <ul className={rows.list} aria-label="SSH keys">
              {list.data.map((key) => (
                <Row key={key.fingerprint} value={key} />
              ))}
            </ul>
          ) : (
            <Empty
              icon={<IconKey size={22} />}
              title="Add your SSH key"
              action={
                <Button size="md" onClick={open}>
                  Add a key
                </Button>
              }
            >
              <Text inherit mb="xs">
                Your computer proves with it who you are. This prints yours, and makes one if there is none:
              </Text>
              <CopyLine
                text="cat ~/.ssh/id_ed25519.pub || (ssh-keygen -t ed25519 && cat ~/.ssh/id_ed25519.pub)"
                label="Copy the command"
                wrap
              />
            </Empty>
          )}
        </div>
      )}
      <Dialog opened={adding} onClose={close} title="Add an SSH key" size="lg">
        <Add close={close} />
      </Dialog>
    </>
  );
}

function Row({ value }: { value: Key }) {
  const queries = useQueryClient();
  const [asking, { open, close }] = useDisclosure();
  const remove = useMutation({
    mutationFn: () =>
      request("DELETE", "/me/keys/{fingerprint}", { path: { fingerprint: value.fingerprint } }),
    onSuccess: close,
    onSettled: () => queries.invalidateQueries(keys),
  });
  const label = value.label || "Key without a label";
  return (
    <li className={rows.row}>
      <div className={rows.what}>
        <span className={rows.name}>{label}</span>
        <code className={rows.code}>
          {value.algorithm} {value.fingerprint}
        </code>
        <span className={rows.note}>
          Added <Ago time={value.created} />
        </span>
      </div>
      <ActionIcon aria-label={`Remove ${label}`} onClick={open}>
        <IconTrash size={17} />
      </ActionIcon>
      <ConfirmByName
        opened={asking}
        close={close}
        title="Remove this key?"
        name={value.label || value.fingerprint.slice(-8)}
        confirm="Remove key"
        pending={remove.isPending}
        error={remove.error}
        act={() => remove.mutate()}
      >
        Whoever has <b>{label}</b> can’t connect with it any more.
      </ConfirmByName>
    </li>
  );
}

function Add({ close }: { close: () => void }) {
  const queries = useQueryClient();
  const [key, setKey] = useState("");
  const [label, setLabel] = useState<string>();
  const fault = key === "" ? null : faultOfKey(key);
  const shownLabel = label ?? commentOf(key);
  const add = useMutation({
    mutationFn: () => {
      const body: { public_key: string; label?: string } = { public_key: key.trim() };
      if (shownLabel !== "") body.label = shownLabel;
      return request("POST", "/me/keys", { body });
    },
    onSuccess: () => {
      notifications.show({ message: "Your key is known here: connect with ssh" });
      close();
    },
    onSettled: () => queries.invalidateQueries(keys),
  });
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (faultOfKey(key) === null) add.mutate();
      }}
    >
      <Stack gap="md">
        <Textarea
          label="Public key"
          description="The one line in ~/.ssh/id_ed25519.pub"
          placeholder="ssh-ed25519 AAAA… you@computer"
          autosize
          minRows={3}
          maxRows={8}
          value={key}
          onChange={(event) => setKey(event.currentTarget.value)}
          error={fault}
          data-autofocus
          autoComplete="off"
          spellCheck={false}
          styles={{ input: { fontFamily: "var(--mantine-font-family-monospace)", fontSize: "0.8125rem" } }}
        />
        <TextInput
          label="Label"
          placeholder="Laptop"
          value={shownLabel}
          onChange={(event) => setLabel(event.currentTarget.value)}
          autoComplete="off"
        />
        {add.isError && (
          <Alert color="red" title="The key wasn't added" role="alert">
            {explain(add.error)}
          </Alert>
        )}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={close}>
            Cancel
          </Button>
          <Button type="submit" disabled={faultOfKey(key) !== null} loading={add.isPending}>
            Add key
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
