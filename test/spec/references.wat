;; Turns a host reference into the `anyref` that scripts write as `ref.host N`,
;; and back.
(module
  (func (export "internalize") (param externref) (result anyref)
    (any.convert_extern (local.get 0)))
  (func (export "externalize") (param anyref) (result externref)
    (extern.convert_any (local.get 0))))
