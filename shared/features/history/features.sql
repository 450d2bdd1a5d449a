SELECT o.transaction_id, o.card_id,
  CASE WHEN v.first <> v.row THEN CASE WHEN @SAME@ THEN 'seen' ELSE 'conflict' END
       WHEN x.t < v.horizon THEN 'too_late' ELSE 'new' END AS status@VALUES@
FROM arrivals o JOIN versions v USING (row) JOIN arrivals x ON x.row = v.first JOIN answers g ON g.row = o.row@PLACES@
ORDER BY o.row
