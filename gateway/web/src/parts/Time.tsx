import { useEffect, useState } from "react";

import { ago, duration, exactly } from "./format";

/** Returns the time, again each `milliseconds`. */
export function useNow(milliseconds: number): Date {
  const [now, setNow] = useState(() => new Date());
  useEffect(() => {
    const timer = window.setInterval(() => setNow(new Date()), milliseconds);
    return () => window.clearInterval(timer);
  }, [milliseconds]);
  return now;
}

/** A time as seen from now, exact on hover. */
export function Ago({ time }: { time: string }) {
  const now = useNow(15_000);
  const date = new Date(time);
  return (
    <time dateTime={time} title={exactly(date)}>
      {ago(date, now)}
    </time>
  );
}

/** How long something has been going on, counting. */
export function Elapsed({ since }: { since: string }) {
  const now = useNow(1000);
  return <span className="number">{duration((now.getTime() - new Date(since).getTime()) / 1000)}</span>;
}
