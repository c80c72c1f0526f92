/**
 * Who is logged in, and what happens when the session ends in the middle of work: requests wait, a login is asked
 * for over the page, and they are sent again.
 */
export interface Me {
  account_id: string;
  login: string;
  display_name: string;
  roles: string[];
  site_ids: string[];
  rights: string[];
  blinded: boolean;
  mode: string;
}

type Listener = () => void;

class Door {
  private waiting: Array<() => void> = [];
  private listeners = new Set<Listener>();

  /** Wait until somebody has logged in again. */
  waitForLogin(): Promise<void> {
    return new Promise((resolve) => {
      this.waiting.push(resolve);
      this.tell();
    });
  }

  /** Let everything that waits go on. */
  open(): void {
    const ready = this.waiting;
    this.waiting = [];
    this.tell();
    for (const go of ready) go();
  }

  /** Whether a request waits for a login. */
  isClosed = (): boolean => this.waiting.length > 0;

  subscribe = (listener: Listener): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  private tell(): void {
    for (const listener of this.listeners) listener();
  }
}

export const door = new Door();
