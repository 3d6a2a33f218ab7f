/** Numbers and times as people read them. */

const UNITS = ["B", "KB", "MB", "GB", "TB", "PB"] as const;

/** Returns a number of bytes with three digits at most, in powers of 1024. */
export function bytes(count: number): string {
  let value = Math.max(0, count);
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || value >= 99.5 ? 0 : value >= 9.95 ? 1 : 2;
  return `${value.toFixed(digits)} ${UNITS[unit] ?? "B"}`;
}

/** Returns a number of bytes without zeros at its end, for an axis. */
export function bytesShort(count: number): string {
  return bytes(count).replace(/\.(\d*?)0+ /, (_, kept: string) => (kept === "" ? " " : `.${kept} `));
}

/** Returns a number with what it counts: "1 process", "2 processes". */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

/** Returns a message as a sentence: the gateway's own begin small, to stand in others. */
export function sentence(text: string): string {
  const end = /[.!?…]$/.test(text) ? "" : ".";
  return text.charAt(0).toUpperCase() + text.slice(1) + end;
}

export function percent(value: number): string {
  return `${value >= 9.95 || value === 0 ? value.toFixed(0) : value.toFixed(1)} %`;
}

/** Returns a length of time by its two largest units: "3 d 4 h", "12 s". */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const parts: [number, string][] = [
    [Math.floor(whole / 86_400), "d"],
    [Math.floor(whole / 3600) % 24, "h"],
    [Math.floor(whole / 60) % 60, "min"],
    [whole % 60, "s"],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  if (first === -1) return "0 s";
  return parts
    .slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(" ");
}

const STEPS: [number, Intl.RelativeTimeFormatUnit][] = [
  [60, "second"],
  [60, "minute"],
  [24, "hour"],
  [30, "day"],
  [12, "month"],
  [Infinity, "year"],
];

const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

/** Returns a time as seen from `now`: "3 minutes ago", "in 2 days". */
export function ago(time: Date, now: Date): string {
  let value = (time.getTime() - now.getTime()) / 1000;
  if (Math.abs(value) < 10) return "just now";
  for (const [size, unit] of STEPS) {
    if (Math.abs(value) < size) return relative.format(Math.round(value), unit);
    value /= size;
  }
  return time.toISOString();
}

const exactFormat = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

export function exactly(time: Date): string {
  return exactFormat.format(time);
}

const KNOWN_BROWSERS: [RegExp, string][] = [
  [/Edg\//, "Edge"],
  [/OPR\//, "Opera"],
  [/Firefox\//, "Firefox"],
  [/Chrome\//, "Chrome"],
  [/Safari\//, "Safari"],
  [/^curl\//, "curl"],
];

const KNOWN_SYSTEMS: [RegExp, string][] = [
  [/Android/, "Android"],
  [/iPhone|iPad/, "iOS"],
  [/Windows/, "Windows"],
  [/Mac OS X/, "macOS"],
  [/CrOS/, "ChromeOS"],
  [/Linux/, "Linux"],
];

/** Returns a browser's name in words, as far as its User-Agent tells. */
export function browser(userAgent: string): string {
  const name = KNOWN_BROWSERS.find(([pattern]) => pattern.test(userAgent))?.[1];
  const system = KNOWN_SYSTEMS.find(([pattern]) => pattern.test(userAgent))?.[1];
  if (!name) return userAgent === "" ? "Unknown browser" : userAgent.slice(0, 60);
  return system ? `${name} on ${system}` : name;
}
