import { MultiSelect, Select, Stack, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";

import { workspaces } from "../api/queries";
import type { Action, Narrowing } from "../api/types";
import { CONFINED, LABELS, allowed } from "./narrowing";

/** What a token is narrowed to; what is left open isn't narrowed. */
export function Narrow({ value, onChange }: { value: Narrowing; onChange: (value: Narrowing) => void }) {
  const list = useQuery(workspaces);
  const folder = value.folder ?? "";
  const actions = Object.entries(LABELS).map(([action, label]) => ({
    value: action,
    label,
    disabled: folder !== "" && !CONFINED.includes(action as Action),
  }));
  return (
    <Stack gap="md">
      <Select
        label="Workspace"
        placeholder="All of yours"
        data={(list.data ?? []).map((workspace) => ({
          value: workspace.id,
          label: workspace.name,
        }))}
        value={value.workspace ?? null}
        onChange={(workspace) => onChange({ ...value, workspace })}
        searchable
        clearable
      />
      <MultiSelect
        label="Actions"
        placeholder={value.actions?.length ? undefined : "All that the scope allows"}
        data={actions}
        value={value.actions ?? []}
        onChange={(chosen) => onChange({ ...value, actions: chosen.length ? (chosen as Action[]) : null })}
        clearable
        searchable
      />
      <TextInput
        label="Folder"
        description="Absolute, or from the home. Nothing can be run with it."
        placeholder="All files"
        value={folder}
        onChange={(event) => {
          const text = event.currentTarget.value;
          onChange({ ...value, folder: text === "" ? null : text, actions: allowed(value.actions, text) });
        }}
        autoComplete="off"
        spellCheck={false}
      />
    </Stack>
  );
}
