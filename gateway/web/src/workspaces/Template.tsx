/** Which template, and what of it may be chosen. */
import { Alert, Select, SimpleGrid, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";

import { templates } from "../api/queries";

/** What somebody chose. */
export interface Choice {
  template: string | null;
  cpus: string;
  memory: string;
}

export const NO_CHOICE: Choice = { template: null, cpus: "", memory: "" };

/** Returns a choice as the API takes it. */
export function asked(choice: Choice) {
  return {
    template: choice.template,
    cpus: choice.cpus === "" ? null : choice.cpus,
    memory: choice.memory === "" ? null : choice.memory,
  };
}

interface Props {
  choice: Choice;
  choose: (choice: Choice) => void;
  /** What it means to name none. */
  none: string;
}

/** Asks for the template; shows nothing where there are none. */
export function TemplateFields({ choice, choose, none }: Props) {
  const list = useQuery(templates).data ?? [];
  if (list.length === 0) return null;
  const chosen = list.find((one) => one.name === choice.template);
  return (
    <>
      <Select
        label="Template"
        description={chosen?.description}
        placeholder={none}
        data={list.map((one) => ({ value: one.name, label: one.name, disabled: one.problem !== null }))}
        value={choice.template}
        onChange={(template) => choose({ ...NO_CHOICE, template })}
        clearable
      />
      {chosen?.problem && (
        <Alert color="red" role="alert">
          Line {chosen.problem.line}: {chosen.problem.detail}
        </Alert>
      )}
      {chosen && (chosen.max_cpus !== null || chosen.max_memory !== null) && (
        <SimpleGrid cols={2}>
          {chosen.max_cpus !== null && (
            <TextInput
              label="Processors"
              description={`At most ${chosen.max_cpus}`}
              placeholder={chosen.cpus ?? "as the server has it"}
              value={choice.cpus}
              onChange={(event) => choose({ ...choice, cpus: event.currentTarget.value.trim() })}
            />
          )}
          {chosen.max_memory !== null && (
            <TextInput
              label="Memory"
              description={`At most ${chosen.max_memory}`}
              placeholder={chosen.memory ?? "as the server has it"}
              value={choice.memory}
              onChange={(event) => choose({ ...choice, memory: event.currentTarget.value.trim() })}
            />
          )}
        </SimpleGrid>
      )}
    </>
  );
}
