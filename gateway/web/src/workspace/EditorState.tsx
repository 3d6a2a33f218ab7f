/** What the browser's editor is doing, and what one does about it. */
import { Anchor, Button, Group, Menu, Text, UnstyledButton } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { notifications } from "@mantine/notifications";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { IconChevronDown, IconFileText, IconPlayerStop, IconRefresh } from "@tabler/icons-react";

import { explain, request } from "../api/client";
import { editor, editorLog } from "../api/queries";
import type { Editor } from "../api/types";
import { CopyLine } from "../parts/Copy";
import { Dialog } from "../parts/Dialog";
import { useWorkspace } from "./context";
import classes from "./EditorState.module.css";

export function EditorState() {
  const { workspace } = useWorkspace();
  const state = useQuery({ ...editor(workspace.id), enabled: workspace.state === "running" });
  if (workspace.state !== "running") return <>Starts the workspace too</>;
  if (!state.data) return <>{state.isError ? explain(state.error) : "…"}</>;
  return <Known state={state.data} id={workspace.id} />;
}

function words(state: Editor): string {
  switch (state.state) {
    case "missing":
      return "code-server isn't installed";
    case "stopped":
      return "Starts when you open it";
    case "starting":
      return "Starting…";
    case "running":
      return state.connections > 0 ? "Running, open in a browser" : "Running";
    case "failed":
      return `Failed: ${state.detail}`;
  }
}

function Known({ state, id }: { state: Editor; id: string }) {
  const queries = useQueryClient();
  const [log, logOf] = useDisclosure();
  const [help, helpOf] = useDisclosure();
  const act = useMutation({
    mutationFn: (action: "restart" | "stop") =>
      request("POST", `/workspaces/{id}/editor/${action}`, { path: { id } }),
    onSuccess: (after) => queries.setQueryData(editor(id).queryKey, after),
    onError: (error) => {
      notifications.show({ color: "red", title: "The editor didn't do that", message: explain(error) });
    },
  });
  if (state.state === "missing") {
    return (
      <>
        {words(state)}:{" "}
        <Anchor component="button" type="button" size="sm" onClick={helpOf.open}>
          install it
        </Anchor>
        <Dialog
          opened={help}
          onClose={helpOf.close}
          title="VS Code in the browser needs code-server"
          size="lg"
        >
          <Text size="md" mb="sm">
            {state.detail} Add it to the workspace or to the image that it is made from, so that the agent
            finds it in its PATH:
          </Text>
          <CopyLine text="npm install --global code-server" label="Copy the command" />
          <Text size="sm" c="dimmed" mt="sm">
            Or name it in the configuration, as <code>program</code> under <code>[editor]</code>. The
            terminal, ports and editors on your computer work without it.
          </Text>
        </Dialog>
      </>
    );
  }
  const runs = state.state === "running" || state.state === "starting";
  return (
    <>
      <Menu position="bottom-start" shadow="md" width={190}>
        <Menu.Target>
          <UnstyledButton className={classes.state} data-state={state.state}>
            {words(state)}
            <IconChevronDown size={13} aria-hidden />
          </UnstyledButton>
        </Menu.Target>
        <Menu.Dropdown>
          {state.version && <Menu.Label>code-server {state.version}</Menu.Label>}
          <Menu.Item leftSection={<IconRefresh size={16} />} onClick={() => act.mutate("restart")}>
            {runs ? "Restart" : "Start"}
          </Menu.Item>
          {runs && (
            <Menu.Item leftSection={<IconPlayerStop size={16} />} onClick={() => act.mutate("stop")}>
              Stop
            </Menu.Item>
          )}
          <Menu.Item leftSection={<IconFileText size={16} />} onClick={logOf.open}>
            Log
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      <Dialog opened={log} onClose={logOf.close} title="The editor's log" size="xl">
        <EditorLog id={id} />
      </Dialog>
    </>
  );
}

function EditorLog({ id }: { id: string }) {
  const log = useQuery(editorLog(id));
  return (
    <>
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- it scrolls */}
      <pre className={classes.log} tabIndex={0}>
        {log.data ?? (log.isError ? explain(log.error) : "…")}
      </pre>
      <Group justify="flex-end" mt="sm">
        <Button variant="default" onClick={() => void log.refetch()}>
          Refresh
        </Button>
      </Group>
    </>
  );
}
