/** Deletes a recipient as smtp.del_rcpt does, without pauses. */
import type { Edits } from '../../src/message/edits.ts';

/** @returns whether there was one */
export function deleteRecipient(edits: Edits, text: string): boolean {
  const plan = edits.planDeletion(text);
  for (;;) {
    const { value, done } = plan.next();
    if (done) return edits.deleteRecipient(value);
  }
}
