/** Signs for programs, drawn here: letters in a frame, no foreign artwork. */

function Mark({ letters }: { letters: string }) {
  return (
    <svg width={18} height={18} viewBox="0 0 24 24" aria-hidden focusable="false">
      <rect
        x="2.5"
        y="2.5"
        width="19"
        height="19"
        rx="4"
        fill="none"
        stroke="currentColor"
        strokeWidth="1.8"
      />
      <text
        x="12"
        y="16"
        textAnchor="middle"
        fontSize="10.5"
        fontWeight="700"
        fontFamily="inherit"
        fill="currentColor"
      >
        {letters}
      </text>
    </svg>
  );
}

export const JetBrainsMark = () => <Mark letters="JB" />;
export const ZedMark = () => <Mark letters="Z" />;
