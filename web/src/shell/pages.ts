/** Pages are found by looking: every ``pages/<name>/page.ts`` tells of itself. */
import { type ComponentType, type LazyExoticComponent, lazy } from "react";

export type Params = Record<string, string>;

export interface PageDefinition {
  /** Pattern of its address, such as ``/patient/:patientId/plan/:planId``. */
  path: string;
  /** What the browser's tab and the heading say. */
  title: string;
  /** All of these are needed; the server asks again. */
  rights: readonly string[];
  /** Entry in the bar on top. */
  nav?: { label: string; order: number };
  /** Entry among the parts of a patient; the address must begin with ``/patient/:patientId``. */
  patientPart?: { label: string; order: number };
  /** Dark, for pages around images. */
  dark?: boolean;
  /** Not for blinded readers, whatever their rights. */
  unblindedOnly?: boolean;
  load: () => Promise<{ default: ComponentType<{ params: Params }> }>;
}

export interface FoundPage extends PageDefinition {
  name: string;
  Component: LazyExoticComponent<ComponentType<{ params: Params }>>;
}

const modules = import.meta.glob<{ page: PageDefinition }>("../pages/*/page.ts", { eager: true });

/** More fixed parts first, so that ``/read/new`` is found before ``/read/:readId``. */
function weigh(path: string): number {
  return path.split("/").reduce((sum, part) => sum + (part.startsWith(":") ? 1 : 100), 0);
}

export const pages: readonly FoundPage[] = Object.entries(modules)
  .map(([file, { page }]) => ({
    ...page,
    name: file.split("/").at(-2) ?? file,
    Component: lazy(page.load),
  }))
  .sort((one, other) => weigh(other.path) - weigh(one.path) || one.path.localeCompare(other.path));

export interface Person {
  rights: readonly string[];
  blinded: boolean;
}

/** Whether a person may open a page. */
export function mayOpen(page: Pick<PageDefinition, "rights" | "unblindedOnly">, person: Person): boolean {
  if (page.unblindedOnly && person.blinded) return false;
  return page.rights.every((right) => person.rights.includes(right));
}
