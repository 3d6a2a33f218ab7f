/**
 * Returns what hands values on: the first at once, and of those that come within a pause the
 * latest at its end.
 */
export function paced<T>(take: (value: T) => void, pause: number): (value: T) => void {
  let waiting: { value: T } | undefined;
  let timer: number | undefined;
  function hand(value: T) {
    waiting = undefined;
    timer = window.setTimeout(due, pause);
    take(value);
  }
  function due() {
    timer = undefined;
    if (waiting) hand(waiting.value);
  }
  return (value) => {
    if (timer === undefined) hand(value);
    else waiting = { value };
  };
}
