/**
 * Entries that wait in this browser until the server has them. An entry bears its own identifier, so that sending it
 * again never makes two of it. They are kept through reloads and lost connections, for one account at a time.
 */
import { Problem, Unreachable } from "./problem";

export interface Waiting<T> {
  id: string;
  entry: T;
  /** Why the server refused it; empty while it only waits. */
  refusal: string;
}

/** Where the queue is kept; the browser's own storage outside tests. */
export interface Shelf {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

type Listener = () => void;

export class Outbox<T extends { entry_id: string }> {
  private waiting: Array<Waiting<T>>;
  private listeners = new Set<Listener>();
  private sending: Promise<void> | null = null;
  private readonly key: string;
  private readonly shelf: Shelf;
  private readonly send: (entries: T[]) => Promise<void>;

  /**
   * @param key names the queue: account and procedure
   * @param shelf where it is kept
   * @param send sends entries; rejects with Unreachable, or with the Problem of the first that was refused
   */
  constructor(key: string, shelf: Shelf, send: (entries: T[]) => Promise<void>) {
    this.key = key;
    this.shelf = shelf;
    this.send = send;
    this.waiting = JSON.parse(shelf.getItem(key) ?? "[]") as Array<Waiting<T>>;
  }

  list = (): ReadonlyArray<Waiting<T>> => this.waiting;

  subscribe = (listener: Listener): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  /** Keep an entry, then try to send; it is on the shelf before anything else happens. */
  add(entry: T): Promise<void> {
    this.keep([...this.waiting, { id: entry.entry_id, entry, refusal: "" }]);
    return this.flush();
  }

  /** Forget an entry that the server refused. */
  drop(id: string): void {
    this.keep(this.waiting.filter((one) => one.id !== id));
  }

  /** Send what waits, one after the other in the order it was entered; a refused one does not hold up the others. */
  flush(): Promise<void> {
    this.sending ??= this.sendAll().finally(() => {
      this.sending = null;
    });
    return this.sending;
  }

  private async sendAll(): Promise<void> {
    for (;;) {
      const next = this.waiting.find((one) => one.refusal === "");
      if (!next) return;
      try {
        await this.send([next.entry]);
        this.drop(next.id);
      } catch (error) {
        if (error instanceof Problem && error.status < 500) {
          const refusal = `Expected ${error.expected}${error.given ? `, not ${error.given}` : ""}.`;
          this.keep(this.waiting.map((one) => (one.id === next.id ? { ...one, refusal } : one)));
        } else if (error instanceof Unreachable || error instanceof Problem) {
          return;
        } else {
          throw error;
        }
      }
    }
  }

  private keep(waiting: Array<Waiting<T>>): void {
    this.waiting = waiting;
    if (waiting.length === 0) this.shelf.removeItem(this.key);
    else this.shelf.setItem(this.key, JSON.stringify(waiting));
    for (const listener of this.listeners) listener();
  }
}
