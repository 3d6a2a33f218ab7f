/** The gate with the prompt in it. */
export function Logo({ size = 22 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden focusable="false">
      <rect width="32" height="32" rx="8" fill="#0c7488" />
      <path d="M8 24V12a8 8 0 0 1 16 0v12" fill="none" stroke="#fff" strokeWidth="3" strokeLinecap="round" />
      <path
        d="m13 15 4 4-4 4"
        fill="none"
        stroke="#9fe3ee"
        strokeWidth="2.6"
        strokeLinecap="round"
        strokeLinejoin="round"
      />
    </svg>
  );
}
