/** What somebody may have, and has. */
import { Progress } from "@mantine/core";
import type { ReactNode } from "react";

import type { Allotment as Values } from "../api/types";
import classes from "./Allotment.module.css";
import { bytes } from "./format";
import { Ago } from "./Time";

export function Allotment({ values }: { values: Values }) {
  const disk = values.disk_bytes;
  const plain = (count: number) => String(count);
  return (
    <dl className={classes.list}>
      <Line name="Workspaces" {...values.workspaces} text={plain} />
      <Line name="Running at once" {...values.running} text={plain} />
      <Line name="Processors" {...values.cpus} text={plain} />
      <Line name="Memory" {...values.memory_bytes} text={bytes} />
      <Line
        name="Disk"
        used={disk.used}
        limit={disk.limit}
        text={bytes}
        note={
          disk.measured_at && (
            <>
              measured <Ago time={disk.measured_at} />
            </>
          )
        }
      />
    </dl>
  );
}

interface LineProps {
  name: string;
  used: number | null;
  limit: number | null;
  text: (count: number) => string;
  note?: ReactNode;
}

function Line({ name, used, limit, text, note }: LineProps) {
  const share = used !== null && limit !== null ? (limit === 0 ? 100 : (used / limit) * 100) : null;
  return (
    <div className={classes.line}>
      <dt>{name}</dt>
      <dd>
        {used === null ? "not measured yet" : text(used)}
        {limit !== null && <span className={classes.of}> of {text(limit)}</span>}
        {note && <span className={classes.note}> · {note}</span>}
        {share !== null && (
          <Progress
            mt={4}
            size="sm"
            value={Math.min(100, share)}
            color={share >= 100 ? "red" : undefined}
            aria-label={`${name} used`}
          />
        )}
      </dd>
    </div>
  );
}
