import {
  type InputHTMLAttributes,
  type ReactNode,
  type SelectHTMLAttributes,
  type TextareaHTMLAttributes,
  useId,
} from "react";
import styles from "./Field.module.css";
import { classes } from "./classes";

interface Around {
  label: string;
  unit?: string;
  hint?: ReactNode;
  problem?: string | undefined;
  className?: string;
}

/** Label, control, hint and problem of one field, joined for screen readers. */
function Frame({ id, label, unit, hint, problem, className, children }: Around & { id: string; children: ReactNode }) {
  return (
    <div className={classes(styles.field, className)}>
      <label className={styles.label} htmlFor={id}>
        {label}
        {unit ? <span className={styles.unit}> ({unit})</span> : null}
      </label>
      {children}
      {hint ? (
        <span id={`${id}-hint`} className={styles.hint}>
          {hint}
        </span>
      ) : null}
      {problem ? (
        <span id={`${id}-problem`} className={styles.problem} role="alert">
          {problem}
        </span>
      ) : null}
    </div>
  );
}

function describe(id: string, around: Around) {
  const parts = [around.hint && `${id}-hint`, around.problem && `${id}-problem`].filter(Boolean);
  return {
    "aria-describedby": parts.length > 0 ? parts.join(" ") : undefined,
    "aria-invalid": around.problem ? true : undefined,
  };
}

type TextProps = Around & Omit<InputHTMLAttributes<HTMLInputElement>, "className">;

/** A line of text, a number, a day. */
export function TextField({ label, unit, hint, problem, className, ...rest }: TextProps) {
  const id = useId();
  const around = { label, hint, problem, ...(unit ? { unit } : {}), ...(className ? { className } : {}) };
  return (
    <Frame id={id} {...around}>
      <input id={id} className={styles.control} {...describe(id, around)} {...rest} />
    </Frame>
  );
}

type AreaProps = Around & Omit<TextareaHTMLAttributes<HTMLTextAreaElement>, "className">;

/** Several lines of text. */
export function AreaField({ label, unit, hint, problem, className, ...rest }: AreaProps) {
  const id = useId();
  const around = { label, hint, problem, ...(unit ? { unit } : {}), ...(className ? { className } : {}) };
  return (
    <Frame id={id} {...around}>
      <textarea id={id} rows={3} className={styles.control} {...describe(id, around)} {...rest} />
    </Frame>
  );
}

export interface Option {
  value: string;
  label: string;
}

export interface OptionGroup {
  label: string;
  options: readonly Option[];
}

type SelectProps = Around &
  Omit<SelectHTMLAttributes<HTMLSelectElement>, "className"> & { options?: readonly Option[]; groups?: readonly OptionGroup[]; empty?: string };

/** One of a few, in groups or not; ``empty`` is what stands there while nothing is chosen. */
export function SelectField({ label, unit, hint, problem, className, options = [], groups = [], empty, ...rest }: SelectProps) {
  const id = useId();
  const around = { label, hint, problem, ...(unit ? { unit } : {}), ...(className ? { className } : {}) };
  return (
    <Frame id={id} {...around}>
      <select id={id} className={styles.control} {...describe(id, around)} {...rest}>
        {empty === undefined ? null : <option value="">{empty}</option>}
        {options.map((option) => (
          <option key={option.value} value={option.value}>
            {option.label}
          </option>
        ))}
        {groups.map((group) => (
          <optgroup key={group.label} label={group.label}>
            {group.options.map((option) => (
              <option key={option.value} value={option.value}>
                {option.label}
              </option>
            ))}
          </optgroup>
        ))}
      </select>
    </Frame>
  );
}

type CheckProps = { label: ReactNode } & Omit<InputHTMLAttributes<HTMLInputElement>, "type" | "className">;

/** Yes or no. */
export function CheckField({ label, ...rest }: CheckProps) {
  const id = useId();
  return (
    <div className={styles.check}>
      <input id={id} type="checkbox" {...rest} />
      <label htmlFor={id}>{label}</label>
    </div>
  );
}
