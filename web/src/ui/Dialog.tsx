import { type FormEvent, type ReactNode, useEffect, useId, useRef, useState } from "react";
import { Button } from "./Button";
import styles from "./Dialog.module.css";
import { AreaField } from "./Field";
import { Failure } from "./States";
import { classes } from "./classes";

interface Props {
  title: string;
  children: ReactNode;
  foot?: ReactNode;
  wide?: boolean;
  /** Called when the person closes it; without it, it cannot be closed. */
  onClose?: () => void;
}

/** A modal dialog of the browser's own: focus, Escape and the page behind are its business. */
export function Dialog({ title, children, foot, wide, onClose }: Props) {
  const ref = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const dialog = ref.current;
    if (dialog && !dialog.open) dialog.showModal();
    return () => dialog?.close();
  }, []);
  return (
    <dialog
      ref={ref}
      className={classes(styles.dialog, wide && styles.wide)}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        onClose?.();
      }}
    >
      <div className={styles.head}>
        <h2 id={id}>{title}</h2>
        {onClose ? (
          <Button look="quiet" aria-label="Close" onClick={onClose}>
            ✕
          </Button>
        ) : null}
      </div>
      <div className={styles.body}>{children}</div>
      {foot ? <div className={styles.foot}>{foot}</div> : null}
    </dialog>
  );
}

interface ReasonProps {
  title: string;
  /** What will happen. */
  children?: ReactNode;
  action: string;
  /** Whether the reason may be left empty. */
  optional?: boolean;
  danger?: boolean;
  /** What is asked for, where it is not a reason. */
  label?: string | undefined;
  onClose: () => void;
  onDone: (reason: string) => Promise<unknown>;
}

/** Ask for a reason before a change; closes when the change has been made. */
export function ReasonDialog({ title, children, action, optional, danger, label, onClose, onDone }: ReasonProps) {
  const [reason, setReason] = useState("");
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const form = useId();
  async function send(event: FormEvent) {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      await onDone(reason.trim());
      onClose();
    } catch (problem) {
      setError(problem);
      setBusy(false);
    }
  }
  return (
    <Dialog
      title={title}
      onClose={onClose}
      foot={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button
            type="submit"
            form={form}
            look={danger ? "danger" : "main"}
            busy={busy}
            disabled={!optional && reason.trim() === ""}
          >
            {action}
          </Button>
        </>
      }
    >
      <form id={form} className={styles.asked} onSubmit={(event) => void send(event)}>
        {children}
        <AreaField
          label={label ?? (optional ? "Reason (may be empty)" : "Reason")}
          autoFocus
          maxLength={2000}
          value={reason}
          onChange={(event) => setReason(event.target.value)}
        />
      </form>
      {error ? <Failure error={error} /> : null}
    </Dialog>
  );
}
