/** The look of a report, in light and dark. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --page: #f6f6f4; --card: #ffffff; --ink: #1d1f23; --soft: #666b74; --line: #e5e5e1; --edge: #c9cac6;
  --data: #2a62c4; --second: #b4560f; --third: #8441b8; --fill: rgba(42, 98, 196, .10); --bad: #bf3029; --good: #24784a; --note: #8a5a00; --note-page: #fdf4dd;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #121316; --card: #1a1c20; --ink: #e9e9e6; --soft: #9ba0a9; --line: #2a2d33; --edge: #454a53;
    --data: #79aaff; --second: #ffb26b; --third: #c9a0ff; --fill: rgba(121, 170, 255, .14); --bad: #ff8079; --good: #6bc995; --note: #f0c674; --note-page: #2a2415;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
main { max-width: 1000px; margin: 0 auto; padding: 40px 20px 56px; }
h1 { margin: 0; font-size: 24px; line-height: 1.25; font-weight: 650; letter-spacing: -.01em; overflow-wrap: anywhere; }
h1 small { margin-right: .5em; font-size: 14px; font-weight: 600; color: var(--soft); letter-spacing: .04em; }
h2 { margin: 0 0 12px; font-size: 15px; font-weight: 650; }
h2 span { font-weight: 400; color: var(--soft); }
.settings { margin: 6px 0 0; color: var(--soft); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(138px, 1fr)); gap: 12px; margin: 28px 0 12px; }
.tile, section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
.tile { padding: 14px 16px; }
.tile dt { color: var(--soft); font-size: 13px; }
.tile dd { margin: 2px 0 0; font-size: 24px; font-weight: 650; letter-spacing: -.02em; font-variant-numeric: tabular-nums; white-space: nowrap; }
.tile.bad dd { color: var(--bad); }
.note { margin: 12px 0; padding: 10px 16px; border-radius: 10px; background: var(--note-page); color: var(--note); }
section { margin-top: 12px; padding: 18px 20px; overflow-x: auto; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 380px), 1fr)); gap: 0 12px; }
svg { display: block; width: 100%; height: auto; overflow: visible; }
svg text { fill: var(--soft); font-size: 12.5px; font-variant-numeric: tabular-nums; }
svg text.mark { fill: var(--ink); font-weight: 600; paint-order: stroke; stroke: var(--card); stroke-width: 4px; stroke-linejoin: round; }
svg .grid { stroke: var(--line); }
svg .base, svg .tick { stroke: var(--edge); }
svg .line { fill: none; stroke: var(--data); stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
svg .point { stroke: var(--data); }
svg .second, svg .curve1 { stroke: var(--second); }
svg .curve2 { stroke: var(--good); }
svg .curve3 { stroke: var(--third); }
svg .curve4 { stroke: var(--bad); }
svg .area { fill: var(--fill); }
svg .dashed { stroke-dasharray: 7 5; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 20px; margin: 0 0 4px; font-size: 13px; color: var(--soft); overflow-wrap: anywhere; }
svg.key { display: inline-block; width: 20px; height: 4px; margin-right: 6px; vertical-align: middle; }
svg .point circle { fill: var(--card); stroke: inherit; stroke-width: 2; }
svg .asked { fill: none; stroke: var(--soft); stroke-dasharray: 4 4; }
svg .error { fill: var(--bad); }
svg .hit rect { fill: transparent; }
svg .hit circle { fill: var(--data); stroke: var(--card); stroke-width: 2; opacity: 0; }
svg .hit:hover circle { opacity: 1; }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
th { padding: 0 0 6px; text-align: left; font-size: 13px; font-weight: 400; color: var(--soft); }
td { padding: 6px 0; border-top: 1px solid var(--line); overflow-wrap: anywhere; }
th + th, td + td { padding-left: 16px; }
.n { text-align: right; white-space: nowrap; }
th.n { white-space: normal; overflow-wrap: anywhere; vertical-align: bottom; }
table.titled td:first-child { overflow-wrap: break-word; }
td.bad { color: var(--bad); }
td.good { color: var(--good); }
.bar { width: 45%; }
.bar i { display: block; height: 10px; border-radius: 0 4px 4px 0; background: var(--data); }
.none { margin: 0; color: var(--good); }
footer { margin-top: 24px; color: var(--soft); font-size: 13px; }
svg.narrow { display: none; }
@media (max-width: 640px) {
  main { padding: 24px 12px 40px; }
  h1 { font-size: 20px; }
  section { padding: 14px 12px; }
  .tiles { grid-template-columns: repeat(2, 1fr); gap: 8px; }
  .tile { padding: 10px 12px; }
  .tile dd { font-size: 20px; }
  svg.wide { display: none; }
  svg.narrow { display: block; }
  .bar { width: 20%; }
  /* Each cell beside its column's name, not below it. */
  table.stack, table.stack tbody, table.stack tr { display: block; }
  table.stack tr:first-child { display: none; }
  table.stack tr + tr + tr { margin-top: 12px; }
  table.stack td { display: flex; gap: 16px; justify-content: space-between; padding: 4px 0; text-align: right; white-space: normal; }
  table.stack td:empty { display: none; }
  table.stack td::before { content: attr(data-name); flex: none; max-width: 60%; color: var(--soft); text-align: left; }
  table.titled td:first-child { font-weight: 600; text-align: left; }
  table.titled td:first-child::before { content: none; }
}
@media print { body { background: none; } section, .tile { break-inside: avoid; } }
`;
