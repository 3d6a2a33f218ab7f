/** The API's browsable page, out of the gateway's own OpenAPI document. */
import { Anchor, TextInput } from "@mantine/core";
import { useDocumentTitle, useHotkeys } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { IconArrowLeft, IconChevronRight, IconSearch } from "@tabler/icons-react";
import { useRef, useState } from "react";
import { Link } from "react-router";

import { request } from "../api/client";
import { CopyLine } from "../parts/Copy";
import { Failure } from "../parts/Failure";
import { Loading } from "../parts/Loading";
import { Logo } from "../parts/Logo";
import { ColorScheme } from "../shell/ColorScheme";
import classes from "./Docs.module.css";
import { curl, type Field, type Operation, read } from "./openapi";

export default function Docs() {
  useDocumentTitle("API · devgate");
  const query = useQuery({
    queryKey: ["openapi"],
    queryFn: async ({ signal }) => read(await request("GET", "/openapi.json", { signal })),
    staleTime: Infinity,
  });
  const [text, setText] = useState("");
  const field = useRef<HTMLInputElement>(null);
  useHotkeys([["/", () => field.current?.focus()]]);
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const shown = query.data?.groups
    .map((group) => ({ ...group, operations: group.operations.filter((one) => found(one, words)) }))
    .filter((group) => group.operations.length > 0);
  return (
    <>
      <header className={classes.header}>
        <Link to="/" className={classes.back} aria-label="To the dashboard">
          <IconArrowLeft size={16} aria-hidden />
          <Logo />
        </Link>
        <h1>API</h1>
        {query.data && <span className={classes.dim}>{query.data.version}</span>}
        <TextInput
          ref={field}
          className={classes.search}
          size="xs"
          aria-label="Search the API"
          placeholder="Search"
          leftSection={<IconSearch size={14} />}
          value={text}
          onChange={(event) => setText(event.currentTarget.value)}
        />
        <ColorScheme />
      </header>
      <main className={classes.page}>
        {query.isPending && <Loading />}
        {query.isError && (
          <Failure title="The API can't be shown" error={query.error} retry={() => void query.refetch()} />
        )}
        {query.data && (
          <p className={classes.intro}>
            <Prose text={query.data.description} />
            {"\n\n"}Programs sign in with{" "}
            <Anchor component={Link} to="/account/tokens" inherit underline="always">
              a token
            </Anchor>{" "}
            as <code>Authorization: Bearer …</code>. Generators read{" "}
            <Anchor href="/api/v1/openapi.json" inherit underline="always">
              the OpenAPI document
            </Anchor>
            .
          </p>
        )}
        {shown?.map((group) => (
          <section key={group.name} className={classes.group} aria-label={group.name}>
            <h2>{group.name}</h2>
            {group.description !== "" && <p className={classes.dim}>{group.description}</p>}
            <div className={classes.box}>
              {group.operations.map((one) => (
                <One key={one.id} operation={one} />
              ))}
            </div>
          </section>
        ))}
        {shown?.length === 0 && <p className={classes.dim}>Nothing in the API matches “{text}”.</p>}
      </main>
    </>
  );
}

function found(one: Operation, words: string[]): boolean {
  const all = `${one.method} ${one.path} ${one.summary} ${one.id}`.toLowerCase();
  return words.every((word) => all.includes(word));
}

function One({ operation }: { operation: Operation }) {
  // The address names an operation, so that it can be linked to.
  const [open, setOpen] = useState(() => decodeURIComponent(location.hash.slice(1)) === operation.id);
  return (
    <details
      id={operation.id}
      className={classes.one}
      open={open}
      onToggle={(event) => setOpen(event.currentTarget.open)}
    >
      <summary>
        <IconChevronRight size={14} className={classes.chevron} aria-hidden />
        <span className={classes.method} data-method={operation.method}>
          {operation.method}
        </span>
        <code className={classes.path}>{operation.path}</code>
        <span className={classes.summary}>{operation.summary}</span>
      </summary>
      {open && <Details operation={operation} />}
    </details>
  );
}

function Details({ operation }: { operation: Operation }) {
  return (
    <div className={classes.details}>
      {operation.description !== "" && operation.description !== operation.summary && (
        <p className={classes.description}>
          <Prose text={operation.description} />
        </p>
      )}
      <CopyLine text={curl(operation, location.origin)} label="Copy the command" />
      {operation.parameters.length > 0 && (
        <>
          <h3>Parameters</h3>
          <Fields
            fields={operation.parameters.map((one) => ({ ...one, type: `${one.type}, ${one.place}` }))}
          />
        </>
      )}
      {operation.body && (
        <>
          <h3>
            Body <code>{operation.body.type}</code>
          </h3>
          <Fields fields={operation.body.fields} />
        </>
      )}
      <h3>Answers</h3>
      {operation.answers.map((answer) => (
        <details key={answer.status} className={classes.answer} open={answer.status.startsWith("2")}>
          <summary>
            <IconChevronRight size={13} className={classes.chevron} aria-hidden />
            <b data-good={answer.status.startsWith("2")}>{answer.status}</b>{" "}
            <Prose text={answer.description} />{" "}
            {answer.type !== "" && <code className={classes.dim}>{answer.type}</code>}
          </summary>
          <Fields fields={answer.fields} />
        </details>
      ))}
    </div>
  );
}

function Fields({ fields }: { fields: readonly Field[] }) {
  if (fields.length === 0) return null;
  return (
    <dl className={classes.fields}>
      {fields.map((field, index) => (
        <div key={index} data-depth={field.depth}>
          <dt>
            <code>{field.name}</code>
            {field.required && <span title="required">*</span>}
          </dt>
          <dd>
            <code className={classes.dim}>{field.type}</code> <Prose text={field.description} />
          </dd>
        </div>
      ))}
    </dl>
  );
}

/** Text whose `code` is shown as code, as descriptions have it. */
function Prose({ text }: { text: string }) {
  return text.split("`").map((part, index) => (index % 2 === 1 ? <code key={index}>{part}</code> : part));
}
