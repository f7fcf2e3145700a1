/** The report's style sheet: one column, two schemes, no font or file from elsewhere. */
export const style = `
:root { color-scheme: light dark; --page: #fbfaf8; --card: #fff; --ink: #1d1f23; --soft: #62666f; --rule: #e4e2dd;
  --s0: #1f6f8b; --s1: #d0672a; --s2: #4a8f3c; --s3: #8a4fa8; --s4: #b08a14; --s5: #c0425a }
@media (prefers-color-scheme: dark) { :root { --page: #14161a; --card: #1c1f25; --ink: #e8e6e1; --soft: #9aa0ab;
  --rule: #31353d; --s0: #5fb4d4; --s1: #f0945c; --s2: #85c574; --s3: #c08fdc; --s4: #dcb94a; --s5: #ef7f94 } }
* { box-sizing: border-box }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.55 system-ui, sans-serif }
main { max-width: 860px; margin: 0 auto; padding: 48px 20px 80px }
h1 { font-size: 30px; line-height: 1.2; letter-spacing: -.02em; margin: 0 0 8px }
h2 { font-size: 19px; margin: 0 0 4px }
p { margin: 0 0 16px; max-width: 68ch } .soft { color: var(--soft) }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px 24px; margin: 28px 0 8px }
dt { color: var(--soft); font-size: 13px } dd { margin: 0; font-variant-numeric: tabular-nums }
section { background: var(--card); border: 1px solid var(--rule); border-radius: 12px; padding: 22px 24px; margin: 24px 0 }
.scroll { overflow-x: auto } .gap { height: 20px } svg { display: block; width: 100%; min-width: 560px; height: auto; margin-top: 8px }
svg text { font-size: 13px; fill: var(--ink) } svg .tick, svg .axis { fill: var(--soft); font-size: 12px }
svg .value { font-variant-numeric: tabular-nums; font-weight: 600 }
.grid { stroke: var(--rule) } .reference { stroke: var(--soft); stroke-dasharray: 4 3; stroke-width: 1.5 }
.band { fill: var(--soft); opacity: .12 } .whisker { stroke-width: 2; opacity: .65 } .line { fill: none; stroke-width: 2 }
details { margin-top: 12px } summary { cursor: pointer; color: var(--soft); font-size: 14px }
table { border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums; margin-top: 8px }
th, td { text-align: left; padding: 5px 18px 5px 0; border-bottom: 1px solid var(--rule); white-space: nowrap }
th { color: var(--soft); font-weight: 500 }
${[0, 1, 2, 3, 4, 5]
  .map((i) => `.s${i} .dot, .s${i} .bar { fill: var(--s${i}) } .s${i} .whisker, .s${i} .line { stroke: var(--s${i}) }`)
  .join("\n")}
`
