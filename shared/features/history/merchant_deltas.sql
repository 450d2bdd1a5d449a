    UNION ALL SELECT merchant, begins, false, 0@PLUS@ FROM spans WHERE begins <= day + @ENDS@
    UNION ALL SELECT merchant, day + @ENDS@ + 1, false, 0@MINUS@ FROM spans WHERE begins <= day + @ENDS@
