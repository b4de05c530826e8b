/** The handler of the demo's service row: the same visit as in the raw rows. */
import { Ledger, type LedgerPlan } from '../../shared/demo/ledger.js';
import type { Ready } from '../service/ready.js';
import { Visitor } from './visitor.js';

let visitor: Visitor;

export function setup(plan: LedgerPlan): void {
  visitor = new Visitor(new Ledger(plan));
}

export default function handle(ready: Ready): void {
  visitor.visit(Number(ready.data), ready, false);
}
