import type { ButtonHTMLAttributes } from "react";
import styles from "./Button.module.css";
import { classes } from "./classes";

interface Props extends ButtonHTMLAttributes<HTMLButtonElement> {
  look?: "main" | "quiet" | "danger";
  large?: boolean;
  /** For a button that stays down: whether it is. */
  pressed?: boolean;
  busy?: boolean;
}

/** A button; busy, it cannot be pressed twice. */
export function Button({ look, large, pressed, busy, className, disabled, children, ...rest }: Props) {
  return (
    <button
      type="button"
      {...rest}
      disabled={disabled || busy}
      aria-busy={busy || undefined}
      aria-pressed={pressed}
      className={classes(
        styles.button,
        look && styles[look],
        large && styles.large,
        pressed && styles.pressed,
        className,
      )}
    >
      {children}
    </button>
  );
}
